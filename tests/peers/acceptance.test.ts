/**
 * What an application records reaches a receiver that nobody here wrote, and is what it was when a
 * decoder that nobody here wrote reads it: as our collector sent it, and as the receiver passed it on.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { gunzipSync } from "node:zlib";
import { toOtlpJson } from "../../collector/text/otlp-json.ts";
import { SIGNALS } from "../../collector/pipeline/signals.ts";
import { until } from "../../collector/testing/run.ts";
import type { Signal } from "../../lib/otlp/request.ts";
import { Span_SpanKind } from "../../proto/gen/otlp_pb.ts";
import { pointsOf } from "../support/collect.ts";
import {
  logsReceivedBy,
  metricsReceivedBy,
  observe,
  plainAttributes,
  receivedBy,
  startCollector,
  waitForSpans,
} from "../support/collector.ts";
import { ownRuntime } from "../support/runtimes.ts";
import { decodeJson, decodeRequest, python } from "./python.ts";
import { rotel, startRotel } from "./rotel.ts";
import { type Sink, startSink } from "./sink.ts";

const COUNT = 3000;

const COMPRESSIONS = ["none", "gzip"] as const;
const WAYS = (["http/protobuf", "grpc"] as const).flatMap((protocol) =>
  COMPRESSIONS.map((compression) => [protocol, compression] as const)
);

// deno-lint-ignore no-explicit-any -- JSON as it comes
type Json = any;

const hex = (digits: string): string => Buffer.from(digits, "hex").toString("base64");
const bytes = (...values: number[]) => ({ bytes_value: Buffer.from(values).toString("base64") });
const text = (value: string) => ({ string_value: value });
const int = (value: number | bigint) => ({ int_value: `${value}` });
const double = (value: number | string) => ({ double_value: value });
const bool = (value: boolean) => ({ bool_value: value });
const array = (...values: Json[]) => ({ array_value: values.length === 0 ? {} : { values } });
const map = (entries: Record<string, Json>) => {
  const values = attributes(entries);
  return { kvlist_value: values.length === 0 ? {} : { values } };
};
const attributes = (entries: Record<string, Json>) =>
  Object.entries(entries).map(([key, value]) => ({ key, value }));

const EVERYTHING = {
  trace_id: hex("0af7651916cd43dd8448eb211c80319c"),
  trace_state: "vendor=1,other=a:b",
  parent_span_id: hex("b7ad6b7169203331"),
  // Sampled; whether the parent is remote is known; it is.
  flags: 0x301,
  name: "everything €𝄞",
  kind: "SPAN_KIND_CONSUMER",
  start_time_unix_nano: "1780000000123456789",
  end_time_unix_nano: "1780000001999999999",
  attributes: attributes({
    "text": text("aé€𝄞"),
    "text.empty": text(""),
    "text.long": text("é".repeat(300)),
    "text.lone": text("a\ufffdb"),
    "bool.true": bool(true),
    "bool.false": bool(false),
    "int.zero": int(0),
    "int.two_bytes": int(16_383),
    "int.three_bytes": int(16_384),
    "int.negative": int(-1),
    "int.largest_number": int(9007199254740991n),
    "int.smallest_number": int(-9007199254740991n),
    "int.largest": int(9223372036854775807n),
    "int.smallest": int(-9223372036854775808n),
    "double": double(0.1),
    "double.large": double(1e300),
    "double.small": double(5e-324),
    "double.nan": double("NaN"),
    "double.infinity": double("Infinity"),
    "double.negative_infinity": double("-Infinity"),
    "bytes": bytes(0, 255, 128),
    "bytes.empty": bytes(),
    "array.text": array(text("a"), text(""), text("€")),
    "array.int": array(int(1), int(-1), int(2 ** 40)),
    "array.double": array(double(0.5), double("NaN")),
    "array.bool": array(bool(true), bool(false)),
    "array.mixed": array(
      ...[text("a"), int(1), {}, double(0.5), bytes(1), array(text("deep"), array(int(2)))],
      map({ key: int(1) }),
    ),
    "array.empty": array(),
    "map": map({
      a: text("x"),
      b: map({ c: array(int(1), map({ d: bool(true) })), e: bytes(9) }),
      f: map({}),
    }),
    "late": text("last"),
    "late.many": double(1.5),
    "late.list": array(text("x")),
  }),
  dropped_attributes_count: 2,
  events: [
    { name: "plain", time_unix_nano: "1780000000200000001" },
    {
      name: "full",
      time_unix_nano: "1780000000200000002",
      attributes: attributes({
        "event.text": text("€"),
        "event.map": map({ a: int(1) }),
        "event.double": double("-Infinity"),
      }),
      dropped_attributes_count: 1,
    },
    {
      name: "exception",
      time_unix_nano: "1780000000200000003",
      attributes: attributes({
        "exception.type": text("TypeError"),
        "exception.message": text("not a 𝄞"),
        "exception.stacktrace": text("at a\n at b"),
      }),
    },
  ],
  dropped_events_count: 1,
  links: [
    {
      trace_id: hex("1".repeat(32)),
      span_id: hex("2".repeat(16)),
      trace_state: "link=state",
      flags: 0x301,
      attributes: attributes({
        "link.text": text("é"),
        "link.numbers": array(int(1), int(2)),
      }),
      dropped_attributes_count: 1,
    },
    { trace_id: hex("3".repeat(32)), span_id: hex("4".repeat(16)), flags: 0x100 },
  ],
  dropped_links_count: 1,
  status: { code: "STATUS_CODE_ERROR", message: "no é" },
};

const EVERYTHING_SCOPE = {
  scope: { name: "acceptance", version: "1.2.3" },
  schema_url: "https://example.com/scope/1",
};

const EVERYTHING_RESOURCE = {
  resource: {
    attributes: attributes({
      "service.name": text("acceptance"),
      "telemetry.sdk.language": text("nodejs"),
      "telemetry.sdk.name": text("otlp-mmap"),
      "telemetry.sdk.version": text("0.1.0"),
      "list": array(text("a"), text("b")),
      "number": int(7),
      "ratio": double(0.5),
    }),
  },
};

const WRITTEN = {
  trace_id: hex("7".repeat(32)),
  span_id: hex("8".repeat(16)),
  flags: 0x101,
  name: "written",
  kind: "SPAN_KIND_SERVER",
  start_time_unix_nano: "1780000002000000000",
  end_time_unix_nano: "1780000002000000001",
  dropped_links_count: 3,
  status: { code: "STATUS_CODE_OK" },
};

const WRITTEN_SCOPE = {
  scope: {
    name: "writing",
    version: "2",
    attributes: attributes({ "scope.text": text("é"), "scope.number": int(1) }),
  },
  schema_url: "https://example.com/scope/2",
};

const WRITTEN_RESOURCE = {
  resource: {
    attributes: attributes({
      "service.name": text("written"),
      "map": map({ a: array(int(1), {}) }),
    }),
  },
  schema_url: "https://example.com/resource/1",
};

interface Found {
  readonly span: Json;
  readonly scope: Json;
  readonly resource: Json;
}

/** All spans of some bodies by name, with scope and resource; decoded by Python. */
function decodeAll(bodies: Uint8Array[], decode = decodeRequest): Map<string, Found> {
  const found = new Map<string, Found>();
  for (const body of bodies) {
    for (
      const { scope_spans: scopes, ...resource } of (decode("traces", body) as Json).resource_spans
    ) {
      for (const { spans, ...scope } of scopes) {
        for (const span of spans) {
          assert.ok(!found.has(span.name), `${span.name} is there twice`);
          found.set(span.name, { span, scope, resource });
        }
      }
    }
  }
  return found;
}

function check(bodies: Uint8Array[], decode = decodeRequest): void {
  const found = decodeAll(bodies, decode);
  assert.equal(found.size, COUNT + 2);
  for (let i = 0; i < COUNT; i++) {
    const { span, scope, resource } = found.get(`span ${i}`)!;
    assert.deepEqual(span.attributes, attributes({ i: int(i) }));
    assert.deepEqual(scope, { scope: { name: "many" } });
    assert.deepEqual(resource, EVERYTHING_RESOURCE);
  }
  const everything = found.get(EVERYTHING.name)!;
  // The only field that the application leaves to the SDK.
  const { span_id: spanId, ...rest } = everything.span;
  assert.equal(Buffer.from(spanId, "base64").length, 8);
  assert.deepEqual(rest, EVERYTHING);
  assert.deepEqual(everything.scope, EVERYTHING_SCOPE);
  assert.deepEqual(everything.resource, EVERYTHING_RESOURCE);

  const written = found.get(WRITTEN.name)!;
  assert.deepEqual(written.span, WRITTEN);
  assert.deepEqual(written.scope, WRITTEN_SCOPE);
  assert.deepEqual(written.resource, WRITTEN_RESOURCE);
}

describe("what an application recorded", { skip: rotel.missing ?? python.missing ?? false }, () => {
  for (const [protocol, compression] of WAYS) {
    it(`is accepted by rotel and passed on complete (${protocol}, ${compression})`, async () => {
      const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-acceptance-"));
      const behind = await startSink();
      const receiver = await startRotel({ forwardTo: behind.url, verbosity: "basic" });
      // Between the two, to see what the collector sends, where it can be read.
      const sent = await startSink({ passOnTo: receiver.http });
      try {
        const app = observe(ownRuntime, "tests/testdata/everything.ts", [directory, `${COUNT}`]);
        assert.deepEqual(await app.ended, { code: 0, signal: null }, app.text());
        const endpoint = protocol === "grpc" ? receiver.grpc : sent.url;
        const collector = startCollector([
          ...[directory, "--once", "--endpoint", endpoint],
          ...["--protocol", protocol, "--compression", compression],
        ]);
        assert.deepEqual(await collector.ended, { code: 0, signal: null }, collector.text());
        await receiver.received(COUNT + 2);
        assert.equal(receiver.count(), COUNT + 2);
        if (protocol === "http/protobuf") check(sent.bodies);
        await waitForSpans(behind, COUNT + 2);
        check(behind.bodies);
      } finally {
        await receiver.stop();
        await behind.stop();
        await sent.stop();
        rmSync(directory, { recursive: true });
      }
    });
  }
});

/** What else is in the file of the Python bindings (see vectors/README.md): one record a kind. */
const OTHERS = { logs: 8, metrics: 7 } as const;

describe("logs and metrics", { skip: rotel.missing ?? false }, () => {
  for (const signal of ["logs", "metrics"] as const) {
    it(`(${signal}) are accepted by rotel and passed on complete`, async () => {
      const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-acceptance-"));
      const behind = await startSink();
      const receiver = await startRotel({ forwardTo: behind.url, signal, verbosity: "basic" });
      const sent = await startSink({ passOnTo: receiver.http });
      try {
        const file = join(directory, "python.otlp");
        const vector = new URL("../vectors/upstream-python.otlp.gz", import.meta.url);
        writeFileSync(file, gunzipSync(readFileSync(vector)));
        const collector = startCollector([file, "--once", "--endpoint", sent.url]);
        assert.deepEqual(await collector.ended, { code: 0, signal: null }, collector.text());
        await receiver.received(OTHERS[signal]);
        assert.equal(receiver.count(), OTHERS[signal]);
        await behind.received(1, 10_000, signal);
        if (signal === "logs") {
          assert.equal(logsReceivedBy(sent).length, OTHERS.logs);
          assert.deepEqual(logsReceivedBy(behind), logsReceivedBy(sent));
        } else {
          const points = metricsReceivedBy(sent).flatMap(({ metric }) => pointsOf(metric));
          assert.equal(points.length, OTHERS.metrics);
          assert.deepEqual(metricsReceivedBy(behind), metricsReceivedBy(sent));
        }
      } finally {
        await receiver.stop();
        await behind.stop();
        await sent.stop();
        rmSync(directory, { recursive: true });
      }
    });
  }
});

// rotel takes no JSON with a null, an empty array or a NaN in it, and of a histogram nothing.
describe("OTLP/JSON", { skip: python.missing ?? false }, () => {
  for (const compression of COMPRESSIONS) {
    it(`is read by Python as what was recorded (${compression})`, async () => {
      const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-acceptance-"));
      const sent = await startSink();
      try {
        const app = observe(ownRuntime, "tests/testdata/everything.ts", [directory, `${COUNT}`]);
        assert.deepEqual(await app.ended, { code: 0, signal: null }, app.text());
        const collector = startCollector([
          ...[directory, "--once", "--endpoint", sent.url],
          ...["--protocol", "http/json", "--compression", compression],
        ]);
        assert.deepEqual(await collector.ended, { code: 0, signal: null }, collector.text());
        check(sent.bodies, decodeJson);
      } finally {
        await sent.stop();
        rmSync(directory, { recursive: true });
      }
    });
  }

  it("is the same to Python as protobuf, for every signal", async () => {
    const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-acceptance-"));
    const sent = await startSink();
    try {
      const file = join(directory, "python.otlp");
      const vector = new URL("../vectors/upstream-python.otlp.gz", import.meta.url);
      writeFileSync(file, gunzipSync(readFileSync(vector)));
      const collector = startCollector([file, "--once", "--endpoint", sent.url]);
      assert.deepEqual(await collector.ended, { code: 0, signal: null }, collector.text());
      const bodies = { traces: sent.bodies, metrics: sent.metrics, logs: sent.logs };
      for (const signal of SIGNALS) {
        assert.equal(bodies[signal].length, 1, signal);
        const [body] = bodies[signal];
        const json = Buffer.from(toOtlpJson(signal, body));
        assert.deepEqual(decodeJson(signal, json), decodeRequest(signal, body));
      }
    } finally {
      await sent.stop();
      rmSync(directory, { recursive: true });
    }
  });
});

const PLAIN = 500;

/** What behind rotel came of `plain.ts`, by signal. */
const CHECKS: Record<Signal, (behind: Sink) => void> = {
  traces(behind) {
    const spans = new Map(receivedBy(behind).map(({ span }) => [span.name, span]));
    for (let i = 0; i < PLAIN; i++) {
      const span = spans.get(`span ${i}`);
      assert.deepEqual(plainAttributes(span!.attributes), {
        ...{ i: BigInt(i), half: i + 0.5, text: "é€", list: ["a", "b"] },
      });
      assert.equal(span!.kind, Span_SpanKind.CLIENT);
      assert.deepEqual([span!.traceId.length, span!.spanId.length], [16, 8]);
      assert.deepEqual([span!.status?.code, span!.status?.message], [2, "why"]);
      assert.deepEqual(span!.events.map(({ name }) => name), ["event"]);
      assert.deepEqual(plainAttributes(span!.events[0].attributes), { i: BigInt(i) });
    }
    const ids = [...spans.values()].map(({ spanId }) => Buffer.from(spanId).toString("hex"));
    assert.equal(new Set(ids).size, PLAIN);
  },
  logs(behind) {
    const logs = logsReceivedBy(behind).map(({ log }) => log);
    logs.sort((a, b) => Number(a.timeUnixNano - b.timeUnixNano));
    logs.forEach((log, i) => {
      assert.deepEqual(log.body?.value, { case: "stringValue", value: `log ${i}` });
      assert.equal(log.timeUnixNano, 1_780_000_000_000_000_000n + BigInt(i));
      assert.equal(log.severityNumber, 13);
      assert.deepEqual(plainAttributes(log.attributes), { i: BigInt(i) });
    });
  },
  metrics(behind) {
    const [{ metric: { name, data } }] = metricsReceivedBy(behind);
    assert.equal(name, "plain.count");
    assert.ok(data.case === "sum");
    assert.equal(data.value.dataPoints.length, 2);
    for (const { value, attributes } of data.value.dataPoints) {
      assert.equal(typeof plainAttributes(attributes).even, "boolean");
      assert.equal(Number(value.value), PLAIN / 2);
    }
  },
};

const COUNTS: Record<Signal, number> = { traces: PLAIN, logs: PLAIN, metrics: 1 };

describe("all signals of an application", { skip: rotel.missing ?? false }, () => {
  for (const protocol of ["http/json", "grpc"]) {
    for (const compression of COMPRESSIONS) {
      it(`are accepted by rotel and passed on (${protocol}, ${compression})`, async () => {
        const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-acceptance-"));
        const behind = await startSink();
        const receiver = await startRotel({ forwardTo: behind.url, verbosity: "basic" });
        try {
          const app = observe(ownRuntime, "tests/testdata/plain.ts", [directory, `${PLAIN}`]);
          assert.deepEqual(await app.ended, { code: 0, signal: null }, app.text());
          const endpoint = protocol === "grpc" ? receiver.grpc : receiver.http;
          const collector = startCollector([
            ...[directory, "--once", "--endpoint", endpoint],
            ...["--protocol", protocol, "--compression", compression],
          ]);
          assert.deepEqual(await collector.ended, { code: 0, signal: null }, collector.text());
          await receiver.received(PLAIN);
          assert.equal(receiver.count(), PLAIN);
          const arrived: Record<Signal, () => number> = {
            traces: () => receivedBy(behind).length,
            logs: () => logsReceivedBy(behind).length,
            metrics: () => metricsReceivedBy(behind).length,
          };
          for (const signal of SIGNALS) {
            await until(`all ${signal} are behind it`, () => arrived[signal]() >= COUNTS[signal], {
              state: arrived[signal],
            });
            assert.equal(arrived[signal](), COUNTS[signal], signal);
            CHECKS[signal](behind);
          }
        } finally {
          await receiver.stop();
          await behind.stop();
          rmSync(directory, { recursive: true });
        }
      });
    }
  }

  it("are not sent to the port of the other protocol without a word about it", async () => {
    const directories = mkdtempSync(join(tmpdir(), "otlp-mmap-acceptance-"));
    const receiver = await startRotel({ verbosity: "basic" });
    try {
      for (const protocol of ["http/protobuf", "grpc"]) {
        const directory = join(directories, protocol.slice(0, 4));
        const app = observe(ownRuntime, "tests/testdata/plain.ts", [directory, "1"]);
        assert.deepEqual(await app.ended, { code: 0, signal: null }, app.text());
        const endpoint = protocol === "grpc" ? receiver.http : receiver.grpc;
        const collector = startCollector([
          ...[directory, "--endpoint", endpoint, "--protocol", protocol],
        ]);
        const port = protocol === "grpc" ? "an OTLP/HTTP port" : "the gRPC port";
        await collector.wrote(new RegExp(`this looks like ${port} .*--protocol`));
        await collector.stop("SIGKILL");
      }
    } finally {
      await receiver.stop();
      rmSync(directories, { recursive: true });
    }
  });
});
