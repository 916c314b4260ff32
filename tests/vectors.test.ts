/**
 * Files that other implementations wrote, read exactly as vectors/README.md says.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type AnyValue,
  type KeyValue,
  Span_SpanKind,
  Status_StatusCode,
} from "../proto/gen/otlp_pb.ts";
import { type CollectedSpan, drainAll, vector } from "./support/collect.ts";

const T = 1_780_000_000_000_000_000n;

function value(any: AnyValue | undefined): unknown {
  return any?.value.case === undefined ? null : any.value.value;
}

function attributes(pairs: readonly KeyValue[]): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const pair of pairs) {
    assert.ok(!(pair.key in result), `key ${pair.key} twice`);
    result[pair.key] = value(pair.value);
  }
  return result;
}

function filled(byte: number, length: number): Uint8Array {
  return new Uint8Array(length).fill(byte);
}

function byName(spans: CollectedSpan[]): Map<string, CollectedSpan[]> {
  const groups = new Map<string, CollectedSpan[]>();
  for (const span of spans) {
    const group = groups.get(span.span.name) ?? [];
    group.push(span);
    groups.set(span.span.name, group);
  }
  return groups;
}

describe("the file of the Python bindings", () => {
  const { spans, collector } = drainAll(vector("upstream-python"));
  const groups = byName(spans);

  it("has all its spans", () => {
    assert.equal(spans.length, 14);
    for (let i = 1; i <= 7; i++) {
      const [{ span, scope, resource }] = groups.get(`GET /items/${i}`) ?? [];
      assert.deepEqual(attributes(resource.resource?.attributes ?? []), {
        "service.name": "checkout",
        "service.instance.id": "i-1",
        "host.cpu.count": 8n,
        "process.args": null,
      });
      assert.equal(scope.scope?.name, "checkout.http");
      assert.equal(scope.scope?.version, "1.2.3");
      assert.deepEqual(attributes(scope.scope?.attributes ?? []), { "scope.attr": true });
      assert.deepEqual(span.traceId, filled(i, 16));
      assert.deepEqual(span.spanId, filled(0xa0 + i, 8));
      assert.equal(span.parentSpanId.length, 0);
      assert.equal(span.kind, Span_SpanKind.SERVER);
      assert.equal(span.flags, 1);
      assert.equal(span.startTimeUnixNano, T + BigInt(1000 * i));
      const own = {
        "http.request.method": "GET",
        i: BigInt(i),
        ratio: i / 4,
        ok: i % 2 === 0,
        uni: `żółć 🚲 ${i}`,
      };
      if (i < 7) {
        assert.deepEqual(attributes(span.attributes), own);
        assert.equal(span.endTimeUnixNano, T + BigInt(1000 * i + 900));
        assert.equal(span.status, undefined);
      } else {
        // The last thing recorded is the end of its child.
        assert.deepEqual(attributes(span.attributes), { ...own, "otlp_mmap.interrupted": true });
        assert.equal(span.endTimeUnixNano, T + 7200n);
        assert.equal(span.status?.code, Status_StatusCode.ERROR);
        assert.match(span.status?.message ?? "", /the process ended before the span did/);
      }
      assert.equal(span.events.length, 0);
    }
  });

  it("has their children", () => {
    const children = groups.get("SELECT") ?? [];
    assert.equal(children.length, 7);
    for (const { span, scope } of children) {
      const i = span.traceId[0];
      assert.equal(scope.scope?.name, "checkout.db");
      assert.equal(scope.scope?.version, "");
      assert.deepEqual(span.traceId, filled(i, 16));
      assert.deepEqual(span.spanId, filled(0x50 + i, 8));
      assert.deepEqual(span.parentSpanId, filled(0xa0 + i, 8));
      assert.equal(span.kind, Span_SpanKind.CLIENT);
      assert.equal(span.startTimeUnixNano, T + BigInt(1000 * i + 100));
      assert.equal(span.endTimeUnixNano, T + BigInt(1000 * i + 200));
      assert.deepEqual(attributes(span.attributes), { "db.system": "sqlite" });
    }
  });

  it("takes events with a severity for logs and passes them and the measurements", () => {
    const { logs, measurements, interrupted } = collector.assembler.counts;
    assert.deepEqual({ logs, measurements, interrupted }, {
      logs: 8,
      measurements: 42,
      interrupted: 1,
    });
    assert.deepEqual(collector.process.files[0].drain.rejected, [0, 0, 0]);
  });
});

describe("the file of the Java SDK", () => {
  const { spans, collector } = drainAll(vector("upstream-java"));
  const groups = byName(spans);

  it("has all its spans, renamed and with their late attributes", () => {
    assert.equal(spans.length, 20);
    for (let i = 0; i < 10; i++) {
      const [job] = groups.get(`job ${i}`) ?? [];
      const [step] = groups.get(`step ${i}`) ?? [];
      for (const { scope, resource } of [job, step]) {
        assert.equal(scope.scope?.name, "java-peer");
        assert.equal(scope.scope?.version, "9.9");
        const { "service.name": service, "telemetry.sdk.language": language } = attributes(
          resource.resource?.attributes ?? [],
        );
        assert.deepEqual([service, language], ["unknown-service", "java"]);
      }
      assert.equal(job.span.kind, Span_SpanKind.CONSUMER);
      assert.deepEqual(attributes(job.span.attributes), { i: BigInt(i), name: `n${i}` });
      assert.deepEqual(attributes(step.span.attributes), { late: true });
      assert.deepEqual(step.span.traceId, job.span.traceId);
      assert.deepEqual(step.span.parentSpanId, job.span.spanId);
      assert.equal(step.span.status?.code, Status_StatusCode.ERROR);
      assert.equal(step.span.status?.message, `boom ${i}`);
    }
  });

  it("has each span event on its span, and no log among them", () => {
    const ticks = spans.flatMap(({ span }) => span.events.map((event) => ({ span, event })));
    assert.equal(ticks.length, 10);
    for (const { span, event } of ticks) {
      assert.equal(event.name, "tick");
      const i = Number(span.name.split(" ")[1]);
      assert.deepEqual(attributes(event.attributes), { k: BigInt(i) });
      assert.ok(event.timeUnixNano >= span.startTimeUnixNano);
      assert.ok(event.timeUnixNano <= span.endTimeUnixNano);
    }
    assert.equal(collector.assembler.counts.logs, 10);
    assert.equal(collector.assembler.counts.measurements, 20);
    assert.equal(collector.assembler.counts.interrupted, 0);
  });
});
