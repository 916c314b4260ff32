/**
 * What the demo's receiver makes of the OTLP it is sent.
 *
 * @module
 */
import { fromBinary } from "@bufbuild/protobuf";
import { ExportTraceServiceRequestSchema, type KeyValue } from "../../proto/gen/otlp_pb.ts";

/** A span, as far as the demo shows it. */
export interface DemoSpan {
  readonly service: string;
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  /** Start and end, ns since the Unix epoch. */
  readonly start: bigint;
  readonly end: bigint;
  readonly failed: boolean;
  /** Its process died before it ended. */
  readonly interrupted: boolean;
  readonly events: readonly string[];
}

/** The spans of one OTLP request. */
export function decodeSpans(body: Uint8Array): DemoSpan[] {
  const { resourceSpans } = fromBinary(ExportTraceServiceRequestSchema, body);
  return resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = text(resource?.attributes ?? [], "service.name");
    return scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        service,
        name: span.name,
        traceId: hex(span.traceId),
        spanId: hex(span.spanId),
        parentSpanId: hex(span.parentSpanId),
        start: span.startTimeUnixNano,
        end: span.endTimeUnixNano,
        failed: span.status?.code === 2,
        interrupted: span.attributes.some(({ key }) => key === "otlp_mmap.interrupted"),
        events: span.events.map(({ name }) => name),
      }))
    );
  });
}

/** One trace as lines of a tree, children under their parents in order of time. */
export function drawTrace(spans: readonly DemoSpan[], paint: Paint): string[] {
  const known = new Set(spans.map(({ spanId }) => spanId));
  const inOrder = [...spans].sort((a, b) => Number(a.start - b.start));
  const lines: string[] = [];
  const draw = (span: DemoSpan, before: string, last: boolean, depth: number) => {
    const branch = depth === 0 ? "" : before + (last ? "└─ " : "├─ ");
    const took = `${(Number(span.end - span.start) / 1e6).toFixed(2)} ms`;
    const mark = span.interrupted
      ? paint.bad("  ✂ cut off: its process died here")
      : span.failed
      ? paint.bad("  failed")
      : "";
    const events = span.events.length === 0 ? "" : paint.dim(`  (${span.events.join(", ")})`);
    lines.push(`${branch}${paint.name(span.service)} ${span.name}  ${took}${events}${mark}`);
    const children = inOrder.filter(({ parentSpanId }) => parentSpanId === span.spanId);
    children.forEach((child, i) => {
      const next = depth === 0 ? "" : before + (last ? "   " : "│  ");
      draw(child, next, i === children.length - 1, depth + 1);
    });
  };
  for (const span of inOrder) if (!known.has(span.parentSpanId)) draw(span, "", true, 0);
  return lines;
}

/** How words are coloured. */
export interface Paint {
  name(text: string): string;
  bad(text: string): string;
  dim(text: string): string;
}

function text(attributes: readonly KeyValue[], key: string): string {
  const value = attributes.find((attribute) => attribute.key === key)?.value?.value;
  return value?.case === "stringValue" ? value.value : "";
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
