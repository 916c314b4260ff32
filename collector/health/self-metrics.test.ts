/** The collector's figures as metrics that it sends. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import packageJson from "../../package.json" with { type: "json" };
import { Writer } from "../../lib/writer.ts";
import { AggregationTemporality } from "../../proto/gen/otlp_pb.ts";
import { startSink } from "../../tests/peers/sink.ts";
import type { CollectedMetric } from "../../tests/support/collect.ts";
import {
  metricsReceivedBy,
  plainAttributes,
  startCollector,
} from "../../tests/support/collector.ts";
import { scrape } from "../../tests/support/prometheus.ts";
import { metricName } from "../prometheus/names.ts";
import { folders } from "../testing/run.ts";

const folder = folders("self-metrics");

function file(): string {
  const path = join(folder(), "a.otlp");
  const writer = Writer.create(path);
  writer.scope({ name: "s" }).startSpan("a").end();
  writer.close();
  return path;
}

/** The last sum of one metric without attributes. */
function lastOf(metrics: readonly CollectedMetric[], name: string): unknown {
  const { data } = metrics.findLast(({ metric }) => metric.name === name)!.metric;
  assert.equal(data.case, "sum");
  assert.ok(data.case === "sum" && data.value.isMonotonic);
  assert.equal(data.value.aggregationTemporality, AggregationTemporality.CUMULATIVE);
  return data.value.dataPoints[0].value.value;
}

describe("--self-metrics", () => {
  it("sends the figures of the page again and again, and says whose they are", async () => {
    const sink = await startSink();
    const collector = startCollector(
      [folder(), "--endpoint", sink.url, "--self-metrics", "--metrics-interval", "50ms"]
        .concat("--health", ":0"),
    );
    try {
      await sink.received(3, 10_000, "metrics");
      const url = /served at (http:\S+)\/healthz/.exec(collector.text())![1];
      const page = [...(await scrape(`${url}/metrics`)).keys()];
      const metrics = metricsReceivedBy(sink);
      const resources = metrics.map(({ resource }) =>
        plainAttributes(resource.resource!.attributes)
      );
      const id = resources[0]["service.instance.id"];
      assert.match(String(id), /^[0-9a-f-]{36}$/);
      for (const resource of resources) {
        assert.deepEqual(resource, {
          "service.name": "otlp-mmap-collector",
          "service.instance.id": id,
          "service.version": packageJson.version,
        });
      }
      const sent = new Set(
        metrics.map(({ metric: { data, name, unit } }) =>
          metricName(name, unit, data.case === "sum" ? "counter" : "none")
        ),
      );
      const shown = page.map((key) => key.replace(/\{.*/, "").replace(/_(bucket|count|sum)$/, ""));
      assert.deepEqual(sent, new Set(shown));
    } finally {
      assert.equal((await collector.stop()).code, 0, collector.text());
      await sink.stop();
    }
  });

  it("sends them at the end with --once, and only on request", async () => {
    const sink = await startSink();
    try {
      const args = ["--once", "--endpoint", sink.url];
      const plain = startCollector([file(), ...args]);
      assert.equal((await plain.ended).code, 0, plain.text());
      assert.equal(sink.metrics.length, 0);
      const collector = startCollector([file(), ...args, "--self-metrics"]);
      assert.equal((await collector.ended).code, 0, collector.text());
      const metrics = metricsReceivedBy(sink);
      assert.equal(lastOf(metrics, "otlp_mmap.spans.taken"), 1n);
      assert.equal(lastOf(metrics, "otlp_mmap.files.opened"), 1n);
      // They are no data points of an application.
      assert.match(collector.text(), /0 data points of 0 measurements: 0 delivered/);
    } finally {
      await sink.stop();
    }
  });
});
