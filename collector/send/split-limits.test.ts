import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  ExportMetricsServiceRequestSchema,
  ExportTraceServiceRequestSchema,
} from "../../proto/gen/otlp_pb.ts";
import { metricsOf, pointsOf, spansOf } from "../../tests/support/collect.ts";
import { Random, seed } from "../../tests/support/random.ts";
import { splitRequest } from "./split.ts";

describe("splitting requests", () => {
  it(`keeps every span with its scope and resource (seed ${seed})`, () => {
    const random = new Random();
    for (let round = 0; round < 30; round++) {
      let number = 0;
      const request = create(ExportTraceServiceRequestSchema, {
        resourceSpans: Array.from({ length: random.below(4) }, (_, r) => ({
          schemaUrl: `resource ${r}`,
          scopeSpans: Array.from({ length: random.below(4) }, (_, s) => ({
            schemaUrl: `scope ${r} ${s}`,
            spans: Array.from({ length: random.below(20) }, () => ({
              name: `${number++} ${"x".repeat(random.below(300))}`,
            })),
          })),
        })),
      });
      const body = toBinary(ExportTraceServiceRequestSchema, request);
      const [maxItems, maxBytes] = [1 + random.below(30), 100 + random.below(5000)];
      const parts = splitRequest("traces", body, maxItems, maxBytes);
      const flat = (bytes: Uint8Array): string[] =>
        spansOf(fromBinary(ExportTraceServiceRequestSchema, bytes)).map((
          { span, scope, resource },
        ) => [span.name, scope.schemaUrl, resource.schemaUrl].join());
      assert.deepEqual(parts.flatMap((part) => flat(part.body)), flat(body));
      for (const part of parts) {
        assert.equal(flat(part.body).length, part.items);
        assert.ok(part.items <= maxItems);
        assert.ok(part.body.length <= maxBytes || part.items === 1, `${part.body.length} bytes`);
      }
    }
  });

  it("parts the points of one metric, which stays what it is", () => {
    const request = create(ExportMetricsServiceRequestSchema, {
      resourceMetrics: [{
        scopeMetrics: [{
          metrics: [{
            name: "m",
            unit: "s",
            data: {
              case: "histogram",
              value: {
                aggregationTemporality: 2,
                dataPoints: Array.from({ length: 10 }, (_, i) => ({
                  count: BigInt(i),
                  ...(i % 2 === 0 ? { sum: 0, min: i } : {}),
                })),
              },
            },
          }],
        }],
      }],
    });
    const body = toBinary(ExportMetricsServiceRequestSchema, request);
    const parts = splitRequest("metrics", body, 4, 1 << 20);
    assert.deepEqual(parts.map(({ items }) => items), [4, 4, 2]);
    const metrics = parts.flatMap((part) =>
      metricsOf(fromBinary(ExportMetricsServiceRequestSchema, part.body))
    );
    assert.deepEqual(
      metrics.map(({ metric: { name, unit, data } }) => [
        name,
        unit,
        data.case === "histogram" && data.value.aggregationTemporality,
      ]),
      [["m", "s", 2], ["m", "s", 2], ["m", "s", 2]],
    );
    assert.deepEqual(
      metrics.flatMap(({ metric }) => pointsOf(metric)),
      metricsOf(fromBinary(ExportMetricsServiceRequestSchema, body)).flatMap(({ metric }) =>
        pointsOf(metric)
      ),
    );
  });
});
