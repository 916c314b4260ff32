/** What the collector serves to Prometheus, parsed by Prometheus' own Python client. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { until } from "../../collector/testing/run.ts";
import { type Observed, startCollector } from "../support/collector.ts";
import { type Program, startProgram } from "../support/programs.ts";
import { samplesOf } from "../support/prometheus.ts";
import { python, runPython } from "./python.ts";

interface Parsed {
  families: Record<string, { type: string; help: string }>;
  /** Name, labels, value, and the labels of an exemplar. */
  samples: [string, Record<string, string>, number, Record<string, string> | null][];
}

function parse(text: string, parser: "parser" | "openmetrics.parser"): Parsed {
  const program = `
import json, sys
from prometheus_client.${parser} import text_string_to_metric_families
families, samples = {}, []
for family in text_string_to_metric_families(sys.stdin.buffer.read().decode()):
    assert family.name not in families, family.name
    families[family.name] = {"type": family.type, "help": family.documentation}
    for s in family.samples:
        samples.append([s.name, s.labels, s.value, s.exemplar.labels if s.exemplar else None])
print(json.dumps({"families": families, "samples": samples}))
`;
  return runPython(program, new TextEncoder().encode(text)) as Parsed;
}

describe("prometheus_client in Python", { skip: python.missing ?? false }, () => {
  let directory = "";
  let collector: Observed;
  let program: Program;
  let metrics = "";
  let health = "";

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), "otlp-mmap-prometheus-"));
    collector = startCollector([directory, "--print", "--prometheus", ":0", "--health", ":0"]);
    await collector.wrote(/applications are served at \S+/);
    metrics = /applications are served at (\S+)/.exec(collector.text())![1];
    health = /health is served at (http:\S+)\/healthz/.exec(collector.text())![1] + "/metrics";
    program = await startProgram("metered.ts", directory, "cumulative");
    await program.ask({ orders: 2 });
    await until("something is measured", async () => (await text(metrics)).includes("seen_total"));
  });
  after(async () => {
    await program.stop("kill");
    await collector.stop();
    rmSync(directory, { recursive: true });
  });

  async function text(url: string, accept = "text/plain"): Promise<string> {
    return await (await fetch(url, { headers: { accept } })).text();
  }

  it("understands the metrics of applications", async () => {
    const content = await text(metrics);
    const { families, samples } = parse(content, "parser");
    assert.deepEqual(families.orders_placed, { type: "counter", help: "Orders" });
    assert.equal(families.http_server_request_duration_seconds.type, "histogram");
    assert.equal(families.exponential_milliseconds.type, "histogram");
    assert.equal(families.load_ratio.type, "gauge");
    const own = {
      job: "test/shop",
      instance: "instance-cumulative",
      otel_scope_name: "shop.meter",
      otel_scope_version: "1.2.3",
    };
    const [orders] = samples.filter(([name]) => name === "orders_placed_total");
    const labels = { payment_method: "card;x", _: "line\nbreak", ...own };
    assert.deepEqual(orders, ["orders_placed_total", labels, 2, null]);
    const info = samples.find(([name]) => name === "target_info")!;
    assert.equal(info[1].host_name, 'a"b\\c');
    assert.equal(samples.length, samplesOf(content).size);
  });

  it("understands them as OpenMetrics, with exemplars", async () => {
    const content = await text(metrics, "application/openmetrics-text; version=1.0.0");
    const { families, samples } = parse(content, "openmetrics.parser");
    assert.deepEqual(families.orders_placed, { type: "counter", help: "Orders" });
    assert.equal(families.target.type, "info");
    const exemplars = samples.filter(([, , , exemplar]) => exemplar !== null);
    assert.ok(exemplars.length > 0);
    for (const [name, , , exemplar] of exemplars) {
      assert.equal(name, "http_server_request_duration_seconds_bucket");
      assert.match(exemplar!.trace_id, /^[0-9a-f]{32}$/);
    }
    assert.equal(samples.length, samplesOf(content).size);
  });

  it("understands the collector's own figures, in both", async () => {
    for (
      const [accept, parser] of [
        ["text/plain", "parser"],
        ["application/openmetrics-text", "openmetrics.parser"],
      ] as const
    ) {
      const { families, samples } = parse(await text(health, accept), parser);
      assert.equal(families.otlp_mmap_file_records_taken.type, "counter");
      assert.equal(families.otlp_mmap_request_duration_seconds.type, "histogram");
      const taken = samples.filter(([name, { service }]) =>
        name === "otlp_mmap_file_records_taken_total" && service === "shop"
      );
      assert.deepEqual(taken.map(([, { ring }]) => ring), ["events", "spans", "measurements"]);
      assert.ok(taken[2][2] > 0);
    }
  });
});
