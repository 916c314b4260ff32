import { create, type MessageInitShape } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  AggregationTemporality,
  type MetricSchema,
  type ResourceMetrics,
  ResourceMetricsSchema,
} from "../../proto/gen/otlp_pb.ts";
import { samplesOf } from "../../tests/support/prometheus.ts";
import { exponentialBuckets } from "./buckets.ts";
import { labelName, metricName, type Suffix } from "./names.ts";
import { addResource, chooseFormat, createText, type Format, formatText } from "./text.ts";

describe("metricName", () => {
  const cases: [string, string, Suffix, string][] = [
    ["http.server.request.duration", "s", "none", "http_server_request_duration_seconds"],
    ["request_duration_seconds", "s", "none", "request_duration_seconds"],
    ["orders", "{order}", "counter", "orders_total"],
    ["orders_total", "{order}", "counter", "orders_total"],
    ["total.orders", "", "counter", "total_orders_total"],
    ["io.total", "By", "counter", "io_bytes_total"],
    ["io", "By", "counter", "io_bytes_total"],
    ["speed", "m/s", "gauge", "speed_meters_per_second"],
    ["rate", "{packet}/s", "gauge", "rate_per_second"],
    ["memory", "KiBy", "gauge", "memory_kibibytes"],
    ["load", "1", "gauge", "load_ratio"],
    ["load", "1", "counter", "load_total"],
    ["share", "%", "gauge", "share_percent"],
    ["odd", "foo/bar", "gauge", "odd_foo_per_bar"],
    ["2nd..name--here", "", "none", "_2nd_name_here"],
    ["_lead_", "", "none", "lead"],
    ["ns:é", "", "none", "ns:"],
    ["", "", "none", "_"],
  ];
  for (const [name, unit, suffix, expected] of cases) {
    it(`makes ${expected} of "${name}" in "${unit}"`, () => {
      assert.equal(metricName(name, unit, suffix), expected);
    });
  }
});

it("labelName replaces what Prometheus has no room for", () => {
  assert.deepEqual(
    ["http.method", "1st", "a__b", "é", "", "a:b"].map(labelName),
    ["http_method", "_1st", "a_b", "_", "_", "a_b"],
  );
});

function text(value: string) {
  return { value: { case: "stringValue" as const, value } };
}

function resource(
  attributes: Record<string, string>,
  ...metrics: MessageInitShape<typeof MetricSchema>[]
): ResourceMetrics {
  return create(ResourceMetricsSchema, {
    resource: {
      attributes: Object.entries(attributes).map(([key, value]) => ({ key, value: text(value) })),
    },
    scopeMetrics: [{ scope: { name: "s" }, metrics }],
  });
}

function gauge(name: string, value: number, key = "k", description = "") {
  const attributes = [{ key, value: text("v") }];
  const dataPoints = [{ attributes, value: { case: "asDouble" as const, value } }];
  return { name, description, data: { case: "gauge" as const, value: { dataPoints } } };
}

function format(resources: ResourceMetrics[], wanted: Format = "text"): string {
  const all = createText(wanted);
  resources.forEach((each, i) => addResource(all, each, `process-${i}`));
  return formatText(all);
}

describe("formatText", () => {
  it("says whose metrics they are", () => {
    const one = resource(
      { "service.name": "shop", "service.namespace": "a", "service.instance.id": "7", "x.y": "z" },
      gauge("g", 1.5, "k", 'A "help"\nof \\'),
    );
    const two = resource({ "service.name": "shop" }, gauge("g", 2));
    assert.equal(
      format([one, two]),
      [
        '# HELP g A "help"\\nof \\\\',
        "# TYPE g gauge",
        'g{k="v",job="a/shop",instance="7",otel_scope_name="s"} 1.5',
        'g{k="v",job="shop",instance="process-1",otel_scope_name="s"} 2',
        "# HELP target_info Target metadata",
        "# TYPE target_info gauge",
        'target_info{x_y="z",job="a/shop",instance="7"} 1',
        "",
      ].join("\n"),
    );
    assert.match(format([one], "openmetrics"), /^# TYPE target info$/m);
    assert.match(format([one], "openmetrics"), /\n# EOF\n$/);
  });

  it("joins the values of keys that become one label, and escapes them", () => {
    const attributes = [{ key: "a.b", value: text('2\n"\\') }, { key: "a-b", value: text("1") }];
    const value = { case: "asInt" as const, value: -5n };
    const metric = { name: "g", data: { case: "gauge" as const, value: { dataPoints: [] } } };
    const made = resource({}, metric);
    made.scopeMetrics[0].metrics[0].data = resource({}, {
      data: { case: "gauge", value: { dataPoints: [{ attributes, value }] } },
    }).scopeMetrics[0].metrics[0].data;
    assert.match(format([made]), /^g\{a_b="1;2\\n\\"\\\\",instance="process-0",.*\} -5$/m);
  });

  it("leaves out what has the name of another type, or the labels of another point", () => {
    const same = { "service.name": "shop", "service.instance.id": "7" };
    const sum = {
      name: "g",
      data: {
        case: "sum" as const,
        value: { aggregationTemporality: AggregationTemporality.CUMULATIVE, dataPoints: [{}] },
      },
    };
    const histogram = {
      name: "g",
      data: {
        case: "histogram" as const,
        value: { aggregationTemporality: AggregationTemporality.CUMULATIVE, dataPoints: [{}] },
      },
    };
    const all = format([
      resource(same, gauge("g", 1), sum),
      resource(same, gauge("g", 2), histogram),
    ]);
    // A sum that may go down is a gauge: it has other labels, and its place.
    assert.deepEqual([...samplesOf(all).values()], [1, 0]);
    assert.match(all, /^# 2 points left out: name or labels in use$/m);
  });

  it("leaves out increments", () => {
    const sum = {
      name: "c",
      data: {
        case: "sum" as const,
        value: { aggregationTemporality: AggregationTemporality.DELTA, dataPoints: [{}] },
      },
    };
    assert.deepEqual(samplesOf(format([resource({}, sum)])), new Map());
  });

  it("has a sum only where it can only grow", () => {
    const histogram = (name: string, sum: number, min: number) => ({
      name,
      data: {
        case: "histogram" as const,
        value: {
          aggregationTemporality: AggregationTemporality.CUMULATIVE,
          dataPoints: [{ count: 2n, sum, min, bucketCounts: [2n], explicitBounds: [] }],
        },
      },
    });
    const all = format([resource({}, histogram("a", 3, 1), histogram("b", 3, -1))]);
    assert.match(all, /^a_sum\{.*\} 3$/m);
    assert.doesNotMatch(all, /^b_sum/m);
    assert.match(all, /^b_count\{.*\} 2$/m);
  });

  it("gives each bucket of OpenMetrics its largest exemplar, or that of the one below", () => {
    const exemplar = (value: number, more = 0) => ({
      value: { case: "asDouble" as const, value },
      timeUnixNano: 1_500_000_000n,
      traceId: new Uint8Array(16).fill(1),
      spanId: new Uint8Array(8).fill(2),
      filteredAttributes: [{ key: "u.v", value: text("x".repeat(more)) }],
    });
    const made = resource({}, {
      name: "h",
      data: {
        case: "histogram",
        value: {
          aggregationTemporality: AggregationTemporality.CUMULATIVE,
          dataPoints: [{
            startTimeUnixNano: 2_000_000_000n,
            count: 3n,
            bucketCounts: [0n, 2n, 0n, 1n],
            explicitBounds: [1, 2, 3],
            exemplars: [exemplar(1.5), exemplar(2, 3), exemplar(9, 200)],
          }],
        },
      },
    });
    const ids = `trace_id="${"01".repeat(16)}",span_id="${"02".repeat(8)}"`;
    const shown = format([made], "openmetrics").match(/^h_bucket.*$/gm);
    assert.deepEqual(shown?.map((line) => line.replace(/^[^}]*\} /, "")), [
      "0",
      `2 # {u_v="xxx",${ids}} 2 1.5`,
      `2 # {u_v="xxx",${ids}} 2 1.5`,
      `3 # {${ids}} 9 1.5`,
    ]);
    assert.match(format([made], "openmetrics"), /^h_created\{.*\} 2$/m);
    assert.doesNotMatch(format([made]), /#(?! TYPE)|_created/);
  });

  it("has numbers that are none", () => {
    const all = [NaN, Infinity, -Infinity, 1e300, -0].map((value, i) => gauge(`g${i}`, value));
    const values = format([resource({}, ...all)]).match(/\S+$/gm)!.filter((word) =>
      word !== "gauge"
    );
    assert.deepEqual(values, ["NaN", "+Inf", "-Inf", "1e+300", "0"]);
  });

  it("is chosen by what the scraper accepts", () => {
    const prometheus = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
    assert.equal(chooseFormat(prometheus), "openmetrics");
    assert.equal(chooseFormat("text/plain"), "text");
    assert.equal(chooseFormat("*/*"), "text");
  });
});

describe("exponentialBuckets", () => {
  it("keeps every bucket, with the bounds on both sides of it", () => {
    const [metric] = resource({}, {
      data: {
        case: "exponentialHistogram",
        value: {
          dataPoints: [{
            scale: 0,
            count: 11n,
            zeroCount: 2n,
            positive: { offset: 1, bucketCounts: [3n, 0n, 0n, 1n] },
            negative: { offset: -1, bucketCounts: [4n, 1n] },
          }],
        },
      },
    }).scopeMetrics[0].metrics;
    assert.ok(metric.data.case === "exponentialHistogram");
    assert.deepEqual(exponentialBuckets(metric.data.value.dataPoints[0]), [
      [-2, 0n],
      [-1, 1n],
      [-0.5, 5n],
      [0, 7n],
      [2, 7n],
      [4, 10n],
      [16, 10n],
      [32, 11n],
      [Infinity, 11n],
    ]);
  });
});
