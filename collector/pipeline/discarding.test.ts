/**
 * A writer that discards the oldest, at the worst moments: while the collector copies a record, and between
 * taking records and giving them back. Each is taken once or discarded, and the file says which.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { RING_READER_INDEX } from "../../lib/format/layout.ts";
import { readGeometry } from "../../lib/file/geometry.ts";
import { closes, readLedger } from "../../lib/file/ledger.ts";
import { MappedFile } from "../../lib/file/mapped.ts";
import type { Recorder } from "../../lib/sdk/recorder.ts";
import { AlwaysOnSampler } from "../../lib/sdk/sampler.ts";
import { start } from "../../lib/sdk/start.ts";
import { MemoryCollector } from "../../tests/support/collect.ts";
import { folders, run, until } from "../testing/run.ts";

const folder = folders("discarding");
const RING = { slots: 16, slotBytes: 512 };
const RINGS = ["events", "spans", "measurements"] as const;

/** Calls `act` right after a load that `is` meant; what was loaded is what it was before. */
function atLoad(is: (array: unknown, index: number) => boolean, act: () => void): void {
  const { load } = Atomics;
  Atomics.load = ((array: Int32Array, index: number) => {
    const value = load(array, index);
    if (is(array, index)) {
      Atomics.load = load;
      act();
    }
    return value;
  }) as typeof Atomics.load;
}

describe("a collector whose file discards the oldest", () => {
  for (const [ring, name] of RINGS.entries()) {
    for (const when of ["copies a record", "gives records back"]) {
      it(`takes each record once: ${name}, discarded while it ${when}`, {
        timeout: 60_000,
      }, async () => {
        const path = join(folder(), "one.otlp");
        const sizes = { events: RING, spans: RING, measurements: RING };
        const sampler = new AlwaysOnSampler();
        const sdk = start({ env: {}, file: path, overflow: "oldest", sampler, sizes });
        assert.ok(sdk.recording);
        const { settings } = sdk.tracerProvider as unknown as { settings: { recorder: Recorder } };
        const file = settings.recorder.file!;
        const geometry = readGeometry(path, file.mapping.u8, file.mapping.size);
        assert.ok("rings" in geometry);
        const { availability, offset } = geometry.rings[ring];
        const logger = sdk.loggerProvider!.getLogger("discarding");
        const tracer = sdk.tracerProvider!.getTracer("discarding");
        const counter = sdk.meterProvider!.getMeter("discarding").createCounter("count");
        const write = (): void => {
          if (name === "events") logger.emit({ body: "text" });
          else if (name === "spans") tracer.startSpan("span");
          else counter.add(1, { key: "value" });
        };
        for (let i = 0; i < 15; i++) write();
        const oldest = file[name].released + 1;
        let discarded = 0;
        // Of the index, the first load is that of whoever opens the ring.
        let loads = 0;
        const isMeant = (array: unknown, index: number): boolean =>
          when === "copies a record"
            ? array instanceof Int32Array && index === availability / 4 + oldest % RING.slots
            : array instanceof BigInt64Array && index === (offset + RING_READER_INDEX) / 8 &&
              ++loads === 2;
        const { load } = Atomics;
        atLoad(
          (array, index) =>
            (array as Int32Array).buffer !== file.mapping.buffer && isMeant(array, index),
          () => {
            for (let i = 0; i < RING.slots; i++) write();
            // What was taken by then is not lost, whatever the writer has counted.
            discarded = file[name].discarded - (when === "copies a record" ? 0 : 15);
          },
        );
        const { pipeline, sink, lines, ended } = run([path]);
        try {
          await until("all is given back", () => file.drained, { timeout: 10_000 });
          const ledger = readLedger(file.mapping, geometry.rings[ring]);
          assert.ok(discarded > 0);
          assert.ok(closes(ledger), JSON.stringify(ledger));
          assert.deepEqual(
            [ledger.discarded, ledger.delivered, ledger.pending],
            [discarded, ledger.claimed - discarded, 0],
            lines.join("\n"),
          );
          if (name === "events") {
            await until("all have come", () => sink.logs.length >= ledger.delivered);
            assert.equal(sink.logs.length, ledger.delivered);
          }
        } finally {
          Atomics.load = load;
          await sdk.shutdown();
          pipeline.finish();
          await ended;
        }
      });
    }
  }

  it("takes each log record once, discarded while it is copied behind events of spans", async () => {
    const sdk = start({
      env: {},
      directory: folder(),
      overflow: "oldest",
      sizes: { events: RING },
    });
    const logger = sdk.loggerProvider!.getLogger("discarding");
    let written = 0;
    const write = (count: number): void => {
      for (let i = 0; i < count; i++) logger.emit({ body: `${written++}` });
    };
    const file = MappedFile.open(sdk.path!);
    const { load } = Atomics;
    try {
      const collector = new MemoryCollector();
      const { drain } = collector.add(file, { over: false });
      write(RING.slots - 1);
      // They stay behind, and have a place of their own in the ring from then on.
      collector.blocked.logs = true;
      collector.rounds();
      assert.ok(drain.logs !== null);
      collector.blocked.logs = false;
      const { availability } = drain.rings[0].geometry;
      let isMet = false;
      atLoad(
        (array, index) => array === file.i32 && index === availability / 4,
        () => {
          isMet = true;
          write(RING.slots);
        },
      );
      collector.rounds();
      assert.ok(isMet);
      const newest = Array.from({ length: RING.slots - 1 }, (_, i) => `${RING.slots + i}`);
      const bodies = collector.logs().map(({ log }) => log.body?.value.value);
      assert.deepEqual(bodies, newest);
    } finally {
      Atomics.load = load;
      file.close();
      await sdk.shutdown();
    }
  });
});
