/**
 * What does not fit a record of the file.
 *
 * @module
 */
import { type Attributes, logs, metrics, trace } from "@opentelemetry/api";
import type { Program } from "../programs.ts";

const T = 1_700_000_000;

function large(): void {
  const tracer = trace.getTracer("large");
  const long = "0123456789".repeat(200);
  const wide = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`k${i}`, i]));
  const context = { traceId: "1".repeat(32), spanId: "2".repeat(16), traceFlags: 1 };
  const span = (name: string) => tracer.startSpan(name, { startTime: [T, 0] });
  // Attributes of a span go on in further records.
  span("wide").setAttributes(wide).end([T, 1]);
  span("attribute").setAttribute("long", long).end([T, 1]);
  span("event").addEvent("long", { long, after: 1 }, [T, 0]).end([T, 1]);
  span("link").addLink({ context, attributes: wide }).end([T, 1]);
  const logger = logs.getLogger("large");
  logger.emit({ eventName: "body", timestamp: [T, 0], body: long });
  logger.emit({ eventName: "attribute", timestamp: [T, 0], attributes: { long } });
  logger.emit({ eventName: "severity", timestamp: [T, 0], severityText: "s".repeat(40) });
  const deep = Array.from({ length: 20 }).reduce<unknown>((inner) => [inner], 1);
  logger.emit({ eventName: "deep", timestamp: [T, 0], body: deep as never });
  const attributes = { deep } as never;
  logger.emit({ eventName: "deep attribute", timestamp: [T, 0], attributes });
  metrics.getMeter("large").createCounter("long").add(1, { long } as Attributes);
}

export const programs: Readonly<Record<string, Program>> = { large: { run: large } };
