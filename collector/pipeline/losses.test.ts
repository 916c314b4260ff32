import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, it } from "node:test";
import { Writer } from "../../lib/writer.ts";
import { plainAttributes } from "../../tests/support/collector.ts";
import { createFigures } from "../health/figures.ts";
import { run, TestSink, until } from "../testing/run.ts";
import { LOST_RECORDS } from "./losses.ts";

const root = mkdtempSync(join(tmpdir(), "otlp-mmap-losses-"));
after(() => rmSync(root, { recursive: true }));

/** Each point that says what was lost: service, pid, ring, reason, records. */
function lostIn(sink: TestSink): unknown[][] {
  return sink.metrics.filter(({ metric }) => metric.name === LOST_RECORDS)
    .flatMap(({ metric, resource }) => {
      assert.ok(metric.data.case === "sum");
      const { "service.name": service } = plainAttributes(resource.resource!.attributes);
      return metric.data.value.dataPoints.map(({ attributes, value }) => {
        const plain = plainAttributes(attributes);
        assert.match(String(plain["otlp_mmap.process.uid"]), /^[0-9a-f]{32}$/);
        assert.match(String(plain["otlp_mmap.file.uid"]), /^[0-9a-f]{32}$/);
        const { "process.pid": pid, "otlp_mmap.ring": ring, "otlp_mmap.reason": reason } = plain;
        return [service, pid, ring, reason, value.value];
      });
    });
}

describe("records that are lost", () => {
  it("are told to the backend while the application lives, as sums that go on", async () => {
    const directory = mkdtempSync(join(root, "place-"));
    const writer = Writer.create(join(directory, "a.otlp"), {
      resource: { "service.name": "shop" },
      events: { slots: 4, slotBytes: 256 },
    });
    const span = writer.scope({ name: "s" }).startSpan("a");
    const overflow = (): number => {
      for (let i = 0; i < 20; i++) span.addEvent("e");
      return writer.counters().events.lost.ring_full;
    };
    const first = overflow();
    assert.equal(first, 17);
    const reported = (records: number): unknown[] => {
      return ["shop", BigInt(process.pid), "events", "ring_full", BigInt(records)];
    };
    const sink = new TestSink();
    const one = run([directory], { metricsIntervalMs: 20 }, sink);
    await until("a report", () => lostIn(sink).length > 0);
    assert.deepEqual(lostIn(sink)[0], reported(first));
    await until("room", () => one.pipeline.files.processes.size === 1);
    const second = overflow();
    await until("the next", () => lostIn(sink).some((point) => point[4] === BigInt(second)));
    // The words of the file as they are now.
    const ledger = createFigures({ pipeline: one.pipeline, sinks: sink.sinks })
      .find(({ name }) => name === "otlp_mmap.file.ledger")!;
    const entries = new Map(
      [...ledger.read()].filter(([labels]) => labels.ring === "events")
        .map(([labels, value]) => [labels.entry, value as number]),
    );
    const of = (entry: string): number => entries.get(entry)!;
    assert.equal(of("offered"), 40);
    assert.equal(of("offered"), of("claimed") + of("refused"));
    assert.equal(of("claimed"), of("delivered") + of("torn") + of("rejected") + of("pending"));
    one.pipeline.stop();
    assert.equal(await one.ended, 0);

    // Another collector goes on with the same sums.
    const next = new TestSink();
    const two = run([directory], { metricsIntervalMs: 20 }, next);
    await until("a report", () => lostIn(next).length > 0);
    assert.deepEqual(lostIn(next)[0], reported(second));
    span.end();
    writer.close();
    await until("the file is gone", () => two.pipeline.files.processes.size === 0);
    const last = lostIn(next).at(-1);
    assert.deepEqual(last, reported(second));
    two.pipeline.stop();
    assert.equal(await two.ended, 0);
    assert.match(
      two.lines.join("\n"),
      /ledger of the events rings, since their files were made: 40 offered = \d+ claimed \+ \d+ refused \(\d+ ring_full\); /,
    );
    assert.doesNotMatch(two.lines.join("\n"), /does not close/);
  });

  it("are no metric where there are none", async () => {
    const directory = mkdtempSync(join(root, "place-"));
    const writer = Writer.create(join(directory, "a.otlp"));
    writer.scope({ name: "s" }).startSpan("a").end();
    writer.close();
    const sink = new TestSink();
    const { pipeline, ended } = run([directory], { once: true }, sink);
    assert.equal(await ended, 0);
    assert.equal(sink.spans.length, 1);
    assert.deepEqual(sink.metrics, []);
    pipeline.stop();
  });
});
