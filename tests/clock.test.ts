/** An application whose clock is set while it records, with spans open over each step. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { pointsOf } from "./support/collect.ts";
import { isInterrupted, plainAttributes } from "./support/collector.ts";
import { places, startJournaled, untilDone } from "./support/journaled.ts";
import { startProgram } from "./support/programs.ts";
import { takeStored } from "./support/stored.ts";

const newPlace = places("clock");
const HOUR = 3600;
/** What the application's clock is off by in each turn, seconds. */
const TURNS = [0, -HOUR, 0, HOUR, 0, 365 * 24 * HOUR, -HOUR, 0];

describe("an application whose clock is set by an hour and more, back and forth", () => {
  for (const overflow of ["newest", "oldest"]) {
    it(`loses nothing, is not held up, and no span ends before it starts: ${overflow}`, {
      timeout: 120_000,
    }, async () => {
      const place = newPlace();
      const collector = await startJournaled(place);
      const program = await startProgram("clocked.ts", place.files, overflow);
      try {
        for (const [i, clock] of TURNS.entries()) {
          assert.equal(await program.ask({ clock }), i + 1);
        }
        await program.ask({ end: true });
      } finally {
        await program.stop();
      }
      await untilDone(place);
      assert.deepEqual(await collector.stop(), { code: 0, signal: null }, collector.text());
      assert.doesNotMatch(collector.text(), /^(warn|error)/m);
      for (const ring of ["events", "spans", "measurements"]) {
        const ledger = new RegExp(`ledger of the ${ring} rings.*`).exec(collector.text())![0];
        assert.match(ledger, / 0 refused.* 0 torn .* 0 rejected .* 0 discarded .* 0 pending/);
      }

      const { spans, logs, metrics } = takeStored(place.spool);
      const numbers = TURNS.map((_, i) => i);
      const names = numbers.flatMap((i) => [`over ${i}`, `within ${i}`]);
      assert.deepEqual(spans.map(({ span }) => span.name).sort(), names.sort());
      for (const each of spans) {
        const { span } = each;
        assert.ok(span.endTimeUnixNano >= span.startTimeUnixNano, span.name);
        assert.ok(!isInterrupted(each), span.name);
        const isOver = /^over/.test(span.name) && span.name !== `over ${TURNS.length - 1}`;
        assert.equal(span.events.length, isOver ? 1 : 0, span.name);
        assert.equal(plainAttributes(span.attributes).late, isOver ? true : undefined);
      }
      const bodies = logs.map(({ log }) => log.body?.value.value);
      assert.deepEqual(bodies.sort(), numbers.map((i) => `log ${i}`).sort());
      const points = metrics.flatMap(({ metric }) =>
        metric.name === "turns" ? pointsOf(metric) : []
      );
      const sums = points.map((point) =>
        Number((point as { value: { value?: unknown } }).value.value)
      );
      assert.equal(Math.max(...sums), TURNS.length);
      for (const { startTimeUnixNano, timeUnixNano } of points) {
        assert.ok(
          startTimeUnixNano <= timeUnixNano,
          `from ${startTimeUnixNano} to ${timeUnixNano}`,
        );
      }
    });
  }
});
