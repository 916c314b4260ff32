/**
 * Writers that claim a record and do not publish it: it is waited for while its owner lives, and
 * counted as torn when that is dead. Meanwhile other rings and files go on.
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, it } from "node:test";
import { Mapping, processIsAlive } from "../ffi/mod.ts";
import { closes, type RingLedger } from "../lib/file/ledger.ts";
import { EXT_OWNER_PID } from "../lib/format/layout.ts";
import { Reader } from "../lib/reader.ts";
import { startSink } from "./peers/sink.ts";
import { FileBuilder } from "./support/build.ts";
import { isInterrupted, observe, startCollector, waitForSpans } from "./support/collector.ts";
import { afterDeath } from "./support/death.ts";
import { assertOutOfMemory, littleMemory } from "./support/little-memory.ts";
import { type Program, startProgram } from "./support/programs.ts";
import { isFullSize, ownRuntime } from "./support/runtimes.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-stuck-"));
after(() => rmSync(directory, { recursive: true }));
let files = 0;
const newPath = (): string => join(directory, `${files++}.otlp`);

const SPANS = 1;
const EVENTS = 0;
/** How long an owner is suspended, ms. */
const SUSPENDED_MS = isFullSize ? 60_000 : 5_000;

async function withOwner(
  body: (owner: Program) => Promise<void>,
  program = "stuck.ts",
): Promise<void> {
  const owner = await startProgram(program);
  try {
    await body(owner);
  } finally {
    await owner.stop("kill");
  }
}

/** Takes everything there is, gives it back, and says what the ledger says. */
function drain(reader: Reader): RingLedger[] {
  while (reader.poll().length > 0);
  reader.release();
  const ledgers = reader.ledger();
  for (const ledger of ledgers) assert.ok(closes(ledger), JSON.stringify(ledger));
  return ledgers;
}

/** What a Worker leaves that is terminated after a step, in addition to 3 span records. */
const TERMINATED = [
  { producers: "one", step: "slot", delivered: 0, torn: 0 },
  { producers: "one", step: "writer_index", delivered: 0, torn: 1 },
  { producers: "one", step: "availability", delivered: 1, torn: 0 },
  { producers: "many", step: "writer_index", delivered: 0, torn: 1 },
  { producers: "many", step: "slot", delivered: 0, torn: 1 },
  { producers: "many", step: "availability", delivered: 1, torn: 0 },
] as const;

describe("a Worker terminated inside a write", () => {
  for (const { producers, step, delivered, torn } of TERMINATED) {
    const what = `${producers} producer${producers === "one" ? "" : "s"}, after ${step}`;
    it(`leaves ${torn} torn, which is waited for while its process lives: ${what}`, {
      timeout: 120_000,
    }, () =>
      withOwner(async (owner) => {
        const path = newPath();
        const other = newPath();
        await owner.ask({ op: "terminate", path, producers, step });
        await owner.ask({ op: "write", path: other, join: false, spans: 2 });
        const reader = Reader.open(path);
        const others = Reader.open(other);
        // With several producers there are records behind the claim.
        const behind = producers === "many" ? 4 : 0;
        if (behind > 0) await owner.ask({ op: "write", path, join: true, spans: 2 });
        for (let look = 0; look < 3; look++) {
          assert.equal(reader.owner(), "writing");
          const now = drain(reader);
          assert.equal(now[SPANS].delivered, 3 + (torn === 1 ? 0 : delivered + behind));
          assert.deepEqual([now[SPANS].torn, now[SPANS].pending], [0, torn === 1 ? 1 + behind : 0]);
          assert.equal(now[EVENTS].delivered, 1, "another ring goes on");
          assert.equal(others.owner(), "writing");
          assert.equal(drain(others)[SPANS].delivered, 4, "another file goes on");
        }
        await owner.stop("kill");
        assert.equal(await afterDeath(reader), "dead");
        const last = drain(reader)[SPANS];
        assert.deepEqual(
          [last.delivered, last.torn, last.pending],
          [3 + delivered + behind, torn, 0],
        );
        reader.close();
        others.close();
      }));
  }
});

describe("a stack overflow inside a write", () => {
  for (const producers of ["one", "many"] as const) {
    it(
      `holds nothing up, and nothing written is lost: ${producers}`,
      { timeout: 120_000 },
      () =>
        withOwner(async (owner) => {
          const path = newPath();
          const rounds = isFullSize ? 6000 : 600;
          const { written, overflows, results, refused } = await owner.ask<{
            written: number;
            overflows: number;
            results: [string, number][];
            refused: number[];
          }>({ op: "overflow", path, producers, rounds });
          assert.ok(overflows > rounds, `${overflows} overflows`);
          const said = new Map(results);
          const reader = Reader.open(path);
          assert.equal(reader.owner(), "writing");
          const [events, spans] = drain(reader);
          const delivered = events.delivered + spans.delivered;
          // A call that threw may have published its record all the same, at its very end.
          assert.ok(delivered >= 1 + (said.get("written") ?? 0), `${delivered} of ${written}`);
          assert.deepEqual([events.pending, spans.pending], [0, 0], "nothing waits for its owner");
          assert.deepEqual(
            [events, spans].map(({ offered, claimed }) => offered - claimed),
            refused,
          );
          await owner.stop("kill");
          assert.equal(await afterDeath(reader), "dead");
          for (const { torn, pending } of drain(reader)) assert.deepEqual([torn, pending], [0, 0]);
          reader.close();
        }, "overflowing.ts"),
    );
  }
});

if (littleMemory !== null) {
  const options = littleMemory;
  describe("an owner without memory inside a write", () => {
    for (const producers of ["one", "many"] as const) {
      it(`leaves nothing of the record: ${producers}`, { timeout: 120_000 }, async () => {
        const path = newPath();
        const program = observe(
          ownRuntime,
          "tests/testdata/exhausted.ts",
          [path, producers],
          options,
        );
        assertOutOfMemory(await program.ended, program.text());
        const reader = Reader.open(path);
        assert.equal(await afterDeath(reader), "dead");
        const { delivered, torn, claimed } = drain(reader)[SPANS];
        assert.deepEqual([claimed, delivered, torn], [2, 2, 0]);
        reader.close();
      });
    }
  });
}

describe("an owner", () => {
  it("is dead when only a child of it lives", () =>
    withOwner(async (owner) => {
      const path = newPath();
      const child = await owner.ask<number>({ op: "child", path });
      try {
        const reader = Reader.open(path);
        assert.equal(reader.owner(), "writing");
        await owner.stop("kill");
        assert.ok(processIsAlive(child));
        assert.equal(await afterDeath(reader), "dead");
        reader.close();
      } finally {
        process.kill(child, "SIGKILL");
      }
    }));

  it("is dead when its process id is another's by now", () =>
    withOwner(async (owner) => {
      const path = newPath();
      await owner.ask({ op: "write", path, join: false, spans: 1 });
      await owner.stop("kill");
      const mapping = Mapping.open(path);
      // This process lives, and started at another time.
      mapping.i32[EXT_OWNER_PID >> 2] = process.pid;
      mapping.close();
      // So does the lock file of a reader whose id is in use again.
      writeFileSync(`${path}.reader`, `${process.pid}\n`);
      const reader = Reader.open(path);
      assert.equal(reader.extension!.ownerPid, process.pid);
      assert.equal(await afterDeath(reader), "dead");
      assert.equal(drain(reader)[SPANS].delivered, 2);
      reader.close();
    }));

  it(
    "is waited for while it is suspended, and other files go on",
    { timeout: 180_000 },
    () =>
      withOwner(async (owner) => {
        const place = join(directory, "suspended");
        mkdirSync(place);
        const pid = await owner.ask<number>({ op: "pid" });
        const sink = await startSink();
        const collector = startCollector([
          place,
          "--endpoint",
          sink.url,
          "--flush-interval",
          "50ms",
        ]);
        try {
          let answered = false;
          const stopped = owner.ask({
            op: "stop",
            path: join(place, "a.otlp"),
            step: "writer_index",
          })
            .then(() => answered = true);
          const first = await waitForSpans(sink, 1);
          assert.deepEqual(first.map(({ span }) => [span.name, span.events.length]), [[
            "first",
            1,
          ]]);
          const until = Date.now() + SUSPENDED_MS;
          await withOwner(async (other) => {
            await other.ask({ op: "write", path: join(place, "b.otlp"), join: false, spans: 3 });
            await waitForSpans(sink, 4);
          });
          while (Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 50));
          assert.equal(answered, false, "it is suspended");
          assert.equal((await waitForSpans(sink, 4)).length, 4, "nothing was made of its span");
          process.kill(pid, "SIGCONT");
          await stopped;
          const all = await waitForSpans(sink, 5);
          const last = all.find(({ span }) => span.name === "second")!;
          assert.equal(isInterrupted(last), false);
          await owner.stop("kill");
          assert.equal((await collector.stop()).code, 0);
          assert.match(
            collector.text(),
            /ledger of the spans rings.*: 10 offered = 10 claimed \+ 0 refused; 10 claimed = 10 delivered \+ 0 torn \+ 0 rejected \+ 0 discarded \+ 0 pending$/m,
          );
        } finally {
          await collector.stop();
          await sink.stop();
        }
      }),
  );

  if (process.platform === "linux") {
    it("that takes no lock is dead when no process has its file mapped", async () => {
      const file = new FileBuilder({ slots: 8, slotBytes: 64 });
      const scope = file.simpleScope("s");
      file.simpleSpan(scope, 1);
      file.put(SPANS, new Uint8Array(4), { publish: false });
      file.simpleSpan(scope, 2);
      const path = newPath();
      writeFileSync(path, file.u8);
      const holder = observe(ownRuntime, "tests/testdata/mapping-holder.ts", [path]);
      try {
        await holder.wrote(/ready/);
        const reader = Reader.open(path);
        assert.equal(reader.extension, null);
        for (let look = 0; look < 3; look++) {
          assert.equal(reader.owner(), "writing");
          assert.equal(reader.poll().length, look === 0 ? 2 : 0);
        }
        await holder.stop("SIGKILL");
        assert.equal(await afterDeath(reader), "dead");
        assert.equal(reader.poll().length, 2, "those behind the torn one");
        reader.close();
      } finally {
        await holder.stop("SIGKILL");
      }
    });
  }
});
