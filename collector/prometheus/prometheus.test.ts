/** Metrics of applications, as a scraper gets them from a collector that runs. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Sum } from "../../proto/gen/otlp_pb.ts";
import { startSink } from "../../tests/peers/sink.ts";
import { metricsReceivedBy, type Observed, startCollector } from "../../tests/support/collector.ts";
import { startProgram } from "../../tests/support/programs.ts";
import { samplesOf, scrape } from "../../tests/support/prometheus.ts";
import { folders } from "../testing/run.ts";

const folder = folders("prometheus");
const OWN = 'job="test/shop",instance="instance-cumulative",otel_scope_name="shop.meter",' +
  'otel_scope_version="1.2.3"';

async function urlOf(collector: Observed): Promise<string> {
  await collector.wrote(/applications are served at \S+/);
  return /applications are served at (\S+)/.exec(collector.text())![1];
}

async function scrapeUntil(url: string, isSo: (found: Map<string, number>) => boolean) {
  for (const deadline = Date.now() + 10_000;;) {
    const found = await scrape(url);
    if (isSo(found)) return found;
    if (Date.now() > deadline) assert.fail(JSON.stringify([...found]));
    await new Promise((wake) => setTimeout(wake, 20));
  }
}

describe("--prometheus", () => {
  it("shows what living processes measured, and ends with them", async () => {
    const directory = folder();
    const sink = await startSink();
    const collector = startCollector([directory, "--endpoint", sink.url, "--prometheus", ":0"]);
    const program = await startProgram("metered.ts", directory, "cumulative");
    try {
      const url = await urlOf(collector);
      await program.ask({ orders: 2 });
      await program.ask({ orders: 5 });
      const orders = `orders_placed_total{payment_method="card;x",_="line\\nbreak",${OWN}}`;
      const found = await scrapeUntil(url, (all) => all.get(orders) === 7);
      const at = (name: string, more = ""): number | undefined =>
        found.get(`${name}{${more}${OWN}}`);
      assert.equal(at("network_io_bytes_total"), 3);
      assert.equal(at("carts_open"), 4);
      assert.equal(at("load_ratio"), 0.25);
      assert.equal(at("seen_total"), 12);
      assert.equal(at("room_celsius"), -2.5);
      const duration = "http_server_request_duration_seconds";
      const buckets = ["0.1", "1.0", "10.0", "+Inf"].map((le) =>
        found.get(`${duration}_bucket{route="/",${OWN},le="${le}"}`)
      );
      assert.deepEqual(buckets, [4, 6, 6, 8]);
      assert.equal(at(`${duration}_count`, 'route="/",'), 8);
      assert.equal(at(`${duration}_sum`, 'route="/",'), 41.3);
      assert.equal(at("exponential_milliseconds_count"), 8);
      assert.equal(at("exponential_milliseconds_sum"), 2008);
      const bounds = [...found].filter(([key]) => key.startsWith("exponential_milliseconds_bucket"))
        .map((
          [key, value],
        ) => [Number(/le="([^"]+)"/.exec(key)![1].replace("Inf", "Infinity")), value]);
      assert.ok(
        bounds.every(([le, n], i) => i === 0 || le > bounds[i - 1][0] && n >= bounds[i - 1][1]),
      );
      // 0 and 1 are in the buckets up to their own values, 3 is not up to 2.9.
      const upTo = (limit: number): number =>
        Math.max(...bounds.filter(([le]) => le <= limit).map(([, n]) => n));
      assert.deepEqual([0, 1, 2.9, 3.1, 1100].map(upTo), [2, 4, 4, 6, 8]);
      assert.equal(
        [...found.keys()].find((key) => key.startsWith("target_info"))?.replace(
          /telemetry_.*?,/g,
          "",
        ),
        'target_info{host_name="a\\"b\\\\c",job="test/shop",instance="instance-cumulative"}',
      );

      const accept = "application/openmetrics-text;version=1.0.0";
      const response = await fetch(url, { headers: { accept } });
      assert.match(
        response.headers.get("content-type")!,
        /^application\/openmetrics-text; version=1/,
      );
      const open = await response.text();
      assert.match(open, /^# TYPE orders_placed counter$/m);
      const samples = [...samplesOf(open)].filter(([key]) => !key.includes("_created{"));
      assert.deepEqual(new Map(samples), found);
      // Measured in a span that was recorded.
      assert.match(
        open,
        /duration_seconds_bucket\{.*le="0.1"\} \d+ # \{trace_id="[0-9a-f]{32}",span_id="[0-9a-f]{16}"\} 0\.1 \d/,
      );

      await program.stop("kill");
      await scrapeUntil(url, (all) => all.size === 0);
    } finally {
      await program.stop("kill");
      assert.equal((await collector.stop()).code, 0, collector.text());
      await sink.stop();
    }
  });

  it("is cumulative where increments are sent, and leaves these as they are", async () => {
    const directory = folder();
    const sink = await startSink();
    const args = ["--endpoint", sink.url, "--prometheus", ":0", "--metrics-interval", "50ms"];
    const collector = startCollector([directory, ...args]);
    const program = await startProgram("metered.ts", directory, "delta");
    try {
      const url = await urlOf(collector);
      let asked = 0;
      for (let i = 1; i <= 20; i++) {
        await program.ask({ orders: i });
        asked += i;
        await scrape(url);
      }
      const text = await (await fetch(url)).text();
      assert.match(text, /^load_ratio\{.*\} 0.25$/m);
      assert.match(text, new RegExp(`^orders_placed_total\\{.*\\} ${asked}$`, "m"));
      assert.match(text, /^http_server_request_duration_seconds_count\{.*\} 80$/m);
      assert.match(text, /^exponential_milliseconds_count\{.*\} 80$/m);
      await program.ask({ end: true });
      await program.stop();
      assert.equal((await collector.stop()).code, 0, collector.text());
      const points = metricsReceivedBy(sink).filter(({ metric }) => metric.name === "orders.placed")
        .flatMap(({ metric }) => (metric.data.value as Sum).dataPoints);
      const sum = points.reduce((total, { value }) => total + Number(value.value), 0);
      assert.equal(sum, asked);
      // Intervals follow on each other.
      points.forEach(({ startTimeUnixNano }, i) => {
        if (i > 0) assert.ok(startTimeUnixNano >= points[i - 1].timeUnixNano);
      });
    } finally {
      await program.stop("kill");
      await collector.stop();
      await sink.stop();
    }
  });
});
