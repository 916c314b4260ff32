/** Records many spans, and two with everything in them: DIRECTORY COUNT. */
import { join } from "node:path";
import process from "node:process";
import {
  type Attributes,
  createTraceState,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import { start } from "../../lib/sdk/start.ts";
import { Writer } from "../../lib/writer.ts";

const [directory, count] = process.argv.slice(2);
const SPANS = { slots: 16_384, slotBytes: 4096 };

const sdk = start({
  env: { OTEL_NODE_RESOURCE_DETECTORS: "none" },
  directory,
  sizes: { spans: SPANS },
  resource: { "service.name": "acceptance", "list": ["a", "b"], "number": 7, "ratio": 0.5 },
  limits: {
    attributeCountLimit: 32,
    attributePerEventCountLimit: 3,
    attributePerLinkCountLimit: 2,
    eventCountLimit: 3,
    linkCountLimit: 2,
  },
});
if (!sdk.recording) throw new Error(sdk.reason);

const many = trace.getTracer("many");
for (let i = 0; i < Number(count); i++) {
  many.startSpan(`span ${i}`, { attributes: { i } }).end();
}

const parent = trace.setSpanContext(ROOT_CONTEXT, {
  traceId: "0af7651916cd43dd8448eb211c80319c",
  spanId: "b7ad6b7169203331",
  traceFlags: 1,
  isRemote: true,
  traceState: createTraceState("vendor=1,other=a:b"),
});
// The API's type leaves out what the specification has had since: maps, bytes, big integers.
const attributes: Record<string, unknown> = {
  "text": "aé€𝄞",
  "text.empty": "",
  "text.long": "é".repeat(300),
  "text.lone": "a\ud800b",
  "bool.true": true,
  "bool.false": false,
  "int.zero": 0,
  "int.two_bytes": 16_383,
  "int.three_bytes": 16_384,
  "int.negative": -1,
  "int.largest_number": Number.MAX_SAFE_INTEGER,
  "int.smallest_number": Number.MIN_SAFE_INTEGER,
  "int.largest": 2n ** 63n - 1n,
  "int.smallest": -(2n ** 63n),
  "double": 0.1,
  "double.large": 1e300,
  "double.small": 5e-324,
  "double.nan": NaN,
  "double.infinity": Infinity,
  "double.negative_infinity": -Infinity,
  "bytes": Uint8Array.of(0, 255, 128),
  "bytes.empty": new Uint8Array(0),
  "array.text": ["a", "", "€"],
  "array.int": [1, -1, 2 ** 40],
  "array.double": [0.5, NaN],
  "array.bool": [true, false],
  "array.mixed": ["a", 1, null, 0.5, Uint8Array.of(1), ["deep", [2]], { key: 1 }],
  "array.empty": [],
  "map": { a: "x", b: { c: [1, { d: true }], e: Uint8Array.of(9) }, f: {} },
};
const span = trace.getTracerProvider()
  .getTracer("acceptance", "1.2.3", { schemaUrl: "https://example.com/scope/1" })
  .startSpan("first name", {
    kind: SpanKind.CONSUMER,
    startTime: [1_780_000_000, 123_456_789],
    attributes: attributes as Attributes,
    links: [{
      context: {
        traceId: "1".repeat(32),
        spanId: "2".repeat(16),
        traceFlags: 1,
        isRemote: true,
        traceState: createTraceState("link=state"),
      },
      attributes: { "link.text": "é", "link.numbers": [1, 2], "link.too_many": 1 },
    }],
  }, parent);
span.setAttribute("late", "first").setAttribute("late", "last");
span.setAttributes({ "late.many": 1.5, "late.list": ["x"] });
// The limit is reached.
span.setAttribute("too many", 1).setAttributes({ "too many, too": 1 });
span.addEvent("plain", [1_780_000_000, 200_000_001]);
span.addEvent("full", {
  "event.text": "€",
  "event.map": { a: 1 } as never,
  "event.double": -Infinity,
  "event.too_many": 1,
}, [1_780_000_000, 200_000_002]);
span.recordException(
  { name: "TypeError", message: "not a 𝄞", stack: "at a\n at b" },
  [1_780_000_000, 200_000_003],
);
span.addEvent("too many");
span.addLink({ context: { traceId: "3".repeat(32), spanId: "4".repeat(16), traceFlags: 0 } });
span.addLink({ context: { traceId: "5".repeat(32), spanId: "6".repeat(16), traceFlags: 0 } });
span.updateName("everything €𝄞");
span.setStatus({ code: SpanStatusCode.ERROR, message: "no é" });
span.end([1_780_000_001, 999_999_999]);

// What the API has no words for: schema URL of a resource, attributes of a scope, kind by kind.
const writer = Writer.create(join(directory, "writer.otlp"), {
  resource: { "service.name": "written", "map": { a: [1n, null] } },
  schemaUrl: "https://example.com/resource/1",
});
const scope = writer.scope({
  name: "writing",
  version: "2",
  schemaUrl: "https://example.com/scope/2",
  attributes: { "scope.text": "é", "scope.number": 1 },
});
const written = scope.startSpan("written", {
  traceId: "7".repeat(32),
  spanId: "8".repeat(16),
  kind: "server",
  time: 1_780_000_002_000_000_000n,
  flags: 0x101,
});
written.end({ time: 1_780_000_002_000_000_001n, status: { code: "ok" }, droppedLinks: 3 });
