/**
 * An application that makes the calls of the model test through the SDK.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { ROOT_CONTEXT, type Span, SpanStatusCode } from "@opentelemetry/api";
import { DEFAULT_LOG_LIMITS } from "../../../lib/sdk/limits.ts";
import { LoggerProvider } from "../../../lib/sdk/logger-provider.ts";
import { MeterProvider } from "../../../lib/sdk/meter-provider.ts";
import type { RingWriter } from "../../../lib/ring/write.ts";
import { record } from "../recording.ts";
import type { Call, Sequence } from "./operations.ts";

/** Bytes of the slots of all rings. */
export const SLOT_BYTES = 256;
/** Attributes of a big write: each takes a record of its own. */
export const BIG_ATTRIBUTES = 4;
/** Makes an attribute fill a slot. */
export const BIG_VALUE: string = "v".repeat(150);
const DICTIONARY_BYTES = 8192;

/** An application that records, until it is killed or closed. */
export interface Application {
  /** Names of its files, by generation. */
  readonly paths: readonly string[];
  /** Makes a call. `number` tells what it writes from everything else. */
  call(call: Call, number: number): void;
  /** Goes without a word. */
  kill(): void;
  /** Shuts down. */
  close(): void;
}

/** Starts one that writes to `directory`. */
export function startApplication(directory: string, slots: Sequence["slots"]): Application {
  const size = (ring: number) => ({ slots: slots[ring], slotBytes: SLOT_BYTES });
  const { recorder, tracer } = record({ directory }, {
    events: size(0),
    spans: size(1),
    measurements: size(2),
    dictionaryBytes: DICTIONARY_BYTES,
  });
  const activeContext = () => ROOT_CONTEXT;
  const logger = new LoggerProvider({ recorder, limits: DEFAULT_LOG_LIMITS, activeContext })
    .getLogger("scope");
  const counter = new MeterProvider({
    ...{ recorder, temporality: "cumulative", histograms: "explicit", exemplars: "always_off" },
    ...{ exportIntervalMs: 60_000, exportTimeoutMs: 1000, views: [], activeContext },
  }).getMeter("scope").createCounter("counter");
  const paths = [recorder.file!.mapping.path];
  const open: Span[] = [];
  const rings = (): RingWriter[] => {
    const { events, spans, measurements } = recorder.file!;
    return [events, spans, measurements];
  };
  const one = (call: Call, number: number): void => {
    const index = "span" in call ? call.span % Math.max(1, open.length) : 0;
    const span = open.at(index);
    switch (call.do) {
      case "start":
        open.push(tracer.startSpan(`span ${number}`, { attributes: { start: number } }));
        break;
      case "attribute":
        span?.setAttribute("attribute", number);
        break;
      case "new key":
        span?.setAttribute(`key ${number}`, number);
        break;
      case "link": {
        const id = (digits: number) => String(number).padStart(digits, "0");
        span?.addLink({
          context: { traceId: `1${id(31)}`, spanId: `1${id(15)}`, traceFlags: 1 },
        });
        break;
      }
      case "rename":
        span?.updateName(`renamed ${number}`);
        break;
      case "event":
        span?.addEvent("event", { event: number });
        break;
      case "big": {
        const all: Record<string, string> = {};
        for (let i = 0; i < BIG_ATTRIBUTES; i++) all[`big ${i}`] = `${number} ${BIG_VALUE}`;
        span?.setAttributes(all);
        break;
      }
      case "end":
        span?.setStatus({ code: SpanStatusCode.ERROR, message: `end ${number}` }).end();
        if (span !== undefined) open.splice(index, 1);
        break;
      case "log":
        logger.emit({ body: `log ${number}` });
        break;
      case "long log":
        logger.emit({ body: `log ${number} ${"l".repeat(1000)}` });
        break;
      case "measure":
        counter.add(number);
        break;
      case "fill ring": {
        const kind = (["log", "start", "measure"] as const)[call.ring];
        for (let i = 0; i < Math.max(...slots); i++) one({ do: kind }, number + i);
        break;
      }
      case "fill dictionary": {
        const { dictionary } = recorder.file!;
        while (dictionary.append(Buffer.alloc(500, "d")) !== 0);
        while (dictionary.append(Buffer.alloc(1, "d")) !== 0);
        break;
      }
      case "use up sequences": {
        const ring = rings()[call.ring];
        ring.sequenceLimit = ring.claimed + 1;
        break;
      }
    }
    const { path } = recorder.file!.mapping;
    if (path !== paths.at(-1)) paths.push(path);
  };
  return {
    paths,
    call: one,
    kill() {
      recorder.file?.close();
      recorder.file = null;
      recorder.close();
    },
    close: () => recorder.close(),
  };
}
