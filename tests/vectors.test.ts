/**
 * Files that other implementations wrote, read exactly as vectors/README.md says.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import {
  AggregationTemporality,
  type AnyValue,
  type ExponentialHistogram,
  type Gauge,
  type Histogram,
  type KeyValue,
  Span_SpanKind,
  Status_StatusCode,
  type Sum,
} from "../proto/gen/otlp_pb.ts";
import { type CollectedSpan, drainAll, pointsOf, vector } from "./support/collect.ts";

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
  const { spans, logs, metrics, collector } = drainAll(vector("upstream-python"));
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

  it("has all its logs, events with a severity", () => {
    assert.equal(logs.length, 8);
    const misses = logs.filter(({ log }) => log.eventName === "cache.miss");
    assert.equal(misses.length, 7);
    misses.forEach(({ log, scope, resource }, index) => {
      const i = index + 1;
      assert.equal(attributes(resource.resource?.attributes ?? [])["service.name"], "checkout");
      assert.equal(scope.scope?.name, "checkout.http");
      assert.deepEqual(attributes(scope.scope?.attributes ?? []), { "scope.attr": true });
      assert.equal(log.timeUnixNano, T + BigInt(1000 * i + 150));
      assert.equal(log.observedTimeUnixNano, log.timeUnixNano);
      assert.deepEqual([log.severityNumber, log.severityText], [9, "INFO"]);
      assert.equal(log.body, undefined);
      assert.deepEqual(log.traceId, filled(i, 16));
      assert.deepEqual(log.spanId, filled(0xa0 + i, 8));
      assert.equal(log.flags, 1);
      assert.deepEqual(attributes(log.attributes), { key: `k${i}` });
    });
    const [{ log, scope }] = logs.filter(({ log }) => log.eventName === "boot");
    assert.equal(scope.scope?.name, "checkout.db");
    assert.equal(log.timeUnixNano, T + 5n);
    assert.deepEqual([log.severityNumber, log.severityText], [17, "ERROR"]);
    assert.deepEqual([log.traceId.length, log.spanId.length, log.flags], [0, 0, 0]);
    assert.deepEqual(attributes(log.attributes), { n: -1n, big: 9007199254740992n, list: null });
  });

  it("has all its metrics, each as it was defined", () => {
    const names = ["requests", "in_flight", "cpu.time", "latency", "size", "temp"];
    assert.deepEqual(metrics.map(({ metric }) => metric.name).sort(), [...names].sort());
    for (const { metric, scope, resource } of metrics) {
      assert.equal(metric.description, `${metric.name} description`);
      assert.equal(scope.scope?.name, "checkout.http");
      assert.equal(attributes(resource.resource?.attributes ?? [])["service.name"], "checkout");
      for (const point of pointsOf(metric)) {
        // The end of the last SELECT is the last thing in the file.
        assert.equal(point.timeUnixNano, T + 7200n);
        if (metric.name !== "temp") {
          assert.ok(point.startTimeUnixNano > T - 10n ** 12n, `${point.startTimeUnixNano}`);
          assert.ok(point.startTimeUnixNano < point.timeUnixNano);
        }
      }
    }
  });

  it("has its sums, of increments and of absolute values", () => {
    const sums = Object.fromEntries(
      metrics.flatMap(({ metric }) => metric.data.case === "sum" ? [[metric.name, metric]] : []),
    );
    const sumOf = (name: string): Sum => sums[name].data.value as Sum;
    const found = (name: string): unknown[] =>
      sumOf(name).dataPoints.map((point) => [attributes(point.attributes), point.value.value]);
    assert.deepEqual(
      found("requests").sort(),
      [[{ route: "/items", i: 0n }, 12], [{ route: "/items", i: 1n }, 16]].sort(),
    );
    assert.deepEqual(found("in_flight"), [[{}, 3]]);
    assert.deepEqual(found("cpu.time"), [[{ cpu: 0n }, 70]]);
    assert.deepEqual(
      ["requests", "in_flight", "cpu.time"].map((name) => [
        sums[name].unit,
        sumOf(name).aggregationTemporality,
        sumOf(name).isMonotonic,
      ]),
      [
        ["1", AggregationTemporality.DELTA, true],
        ["1", AggregationTemporality.DELTA, false],
        ["s", AggregationTemporality.CUMULATIVE, true],
      ],
    );
    assert.ok(
      Object.values(sums).every(({ data }) =>
        (data.value as Sum).dataPoints.every(({ value }) => value.case === "asDouble")
      ),
    );
  });

  it("has its histograms and its gauge", () => {
    const byName = Object.fromEntries(metrics.map(({ metric }) => [metric.name, metric]));
    const { latency, size, temp } = byName;
    assert.equal(latency.unit, "ms");
    assert.equal(latency.data.case, "histogram");
    const explicit = latency.data.value as Histogram;
    assert.equal(explicit.aggregationTemporality, AggregationTemporality.DELTA);
    const [point, ...more] = explicit.dataPoints;
    assert.equal(more.length, 0);
    assert.deepEqual(attributes(point.attributes), { route: "/items" });
    assert.deepEqual(point.explicitBounds, [1, 5, 10]);
    assert.deepEqual(point.bucketCounts, [0n, 3n, 3n, 1n]);
    assert.deepEqual([point.count, point.sum, point.min, point.max], [7n, 42, 1.5, 10.5]);

    assert.equal(size.unit, "By");
    assert.equal(size.data.case, "exponentialHistogram");
    const exponential = size.data.value as ExponentialHistogram;
    assert.equal(exponential.aggregationTemporality, AggregationTemporality.CUMULATIVE);
    const [{ count, sum, min, max, scale, positive }] = exponential.dataPoints;
    assert.deepEqual([count, sum, min, max], [7n, 254, 2, 128]);
    // 2 to 128 are 6 powers of two: 160 buckets hold them at scale 4 and not at 5.
    assert.equal(scale, 4);
    assert.equal(positive?.bucketCounts.reduce((total, each) => total + each, 0n), 7n);
    // Each on its bucket's upper bound.
    const filled = positive!.bucketCounts.flatMap((each, i) => each > 0n ? [i] : []);
    assert.deepEqual(
      filled.map((i) => 2 ** ((positive!.offset + i + 1) / 2 ** scale)),
      [2, 4, 8, 16, 32, 64, 128],
    );

    assert.equal(temp.data.case, "gauge");
    const [last] = (temp.data.value as Gauge).dataPoints;
    assert.deepEqual([attributes(last.attributes), last.value.value], [{ room: "a" }, 27]);
  });

  it("has nothing that cannot be read", () => {
    assert.equal(collector.assembler.counts.interrupted, 1);
    assert.deepEqual(collector.process.files[0].drain.rejected, [0, 0, 0]);
  });
});

describe("the file of the Java SDK", () => {
  const { spans, logs, metrics, collector } = drainAll(vector("upstream-java"));
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
    assert.equal(collector.assembler.counts.interrupted, 0);
  });

  it("has its logs, each in a span", () => {
    assert.equal(logs.length, 10);
    logs.forEach(({ log, scope, resource }, i) => {
      const service = attributes(resource.resource?.attributes ?? [])["service.name"];
      assert.deepEqual([service, scope.scope?.name], ["unknown-service", "java-peer"]);
      assert.equal(value(log.body), `log ${i}`);
      assert.equal(log.severityNumber, 13);
      assert.equal(log.eventName, "");
      assert.deepEqual(attributes(log.attributes), { a: "b" });
      const inside = spans.find(({ span }) =>
        Buffer.compare(span.spanId, log.spanId) === 0 &&
        Buffer.compare(span.traceId, log.traceId) === 0
      );
      assert.match(inside?.span.name ?? "", new RegExp(`^(job|step) ${i}$`));
      assert.ok(log.timeUnixNano >= inside!.span.startTimeUnixNano);
    });
  });

  it("has its metrics", () => {
    const byName = Object.fromEntries(metrics.map(({ metric }) => [metric.name, metric]));
    assert.deepEqual(Object.keys(byName).sort(), ["duration", "jobs"]);
    const { duration, jobs } = byName;
    assert.equal(jobs.unit, "1");
    assert.equal(jobs.data.case, "sum");
    const sum = jobs.data.value as Sum;
    // Cumulative by its definition, and yet increments were written.
    assert.equal(sum.aggregationTemporality, AggregationTemporality.CUMULATIVE);
    assert.equal(sum.isMonotonic, true);
    const [point, ...more] = sum.dataPoints;
    assert.equal(more.length, 0);
    assert.deepEqual([attributes(point.attributes), Number(point.value.value)], [{ q: "x" }, 20]);
    assert.equal(duration.unit, "ms");
    assert.equal(duration.data.case, "exponentialHistogram");
    const [histogram] = (duration.data.value as ExponentialHistogram).dataPoints;
    assert.deepEqual([histogram.count, histogram.sum], [10n, 112.5]);
    assert.equal(histogram.zeroCount, 1n);
    assert.ok(point.timeUnixNano > 0n && point.startTimeUnixNano > 0n);
  });
});
