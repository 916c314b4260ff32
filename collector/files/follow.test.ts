/** When a writer that discards the oldest is told that somebody reads, and whose file is removed. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { holdsGeometry } from "../../lib/file/geometry.ts";
import { closes, readLedger, type RingLedger, totalOf } from "../../lib/file/ledger.ts";
import { RING_SPANS } from "../../lib/format/layout.ts";
import { Aggregator } from "../../lib/metrics/aggregate.ts";
import { Assembler } from "../../lib/otlp/assemble.ts";
import { PairList } from "../../lib/otlp/source.ts";
import { Writer } from "../../lib/writer.ts";
import { AGGREGATION } from "../../tests/support/collect.ts";
import { round } from "../pipeline/round.ts";
import { forEachSignal } from "../pipeline/signals.ts";
import { folders } from "../testing/run.ts";
import {
  attach,
  closeFile,
  type FollowedFile,
  type FollowedProcess,
  openFile,
  releaseRings,
} from "./follow.ts";

const folder = folders("follow");
const SLOTS = 16;

/** A file whose ring was filled often, and what opens it. */
function flightRecorder(once: boolean): {
  fill: (count: number) => void;
  open: () => FollowedFile;
  take: () => number;
  ledger: (file: FollowedFile) => RingLedger;
  writer: Writer;
} {
  const path = join(folder(), "flight.otlp");
  const ring = { slots: SLOTS, slotBytes: 256 };
  const writer = Writer.create(path, { overflow: "oldest", spans: ring });
  const scope = writer.scope({ name: "s" });
  const assembler = new Assembler(() => {});
  const aggregator = new Aggregator((source, ref) => assembler.scopeOf(source, ref), AGGREGATION);
  const intake = { assembler, aggregator, blocked: forEachSignal(() => false) };
  const process: FollowedProcess = {
    state: assembler.addProcess(),
    files: [],
    waiting: new PairList(),
    key: "process",
    unanswered: 0,
    undelivered: forEachSignal(() => 0),
    collectedAt: 0n,
    over: false,
    isSafe: false,
    hadSynced: false,
    missing: 0,
  };
  aggregator.addProcess(process.state.index);
  return {
    writer,
    fill(count) {
      for (let i = 0; i < count; i++) scope.startSpan(`${i}`);
    },
    open() {
      const opened = openFile(1, path, true, false, once, assembler, () => process);
      assert.ok("followed" in opened);
      return opened.followed;
    },
    take: () => round(process, intake),
    ledger: ({ file, geometry }) => readLedger(file, geometry.rings[RING_SPANS]),
  };
}

describe("a writer that discards the oldest", () => {
  it("refuses nothing before there is room, and discards nothing from then on", () => {
    const { fill, ledger, open, take, writer } = flightRecorder(false);
    fill(40);
    const file = open();
    // Nothing is given back yet: the newest stay.
    fill(100);
    assert.equal(totalOf(ledger(file).refused), 0);
    // Behind what was discarded since.
    assert.equal(take(), 0);
    const giveBack = (): void => {
      releaseRings(file);
      attach(file);
    };
    giveBack();
    fill(5);
    assert.equal(totalOf(ledger(file).refused), 0);
    while (!file.attached) {
      take();
      fill(5);
      giveBack();
      assert.equal(totalOf(ledger(file).refused), 0);
      if (!file.attached) take();
      giveBack();
    }
    assert.ok(holdsGeometry(file.file.u8, file.geometry), "it is what it was");
    const { discarded } = ledger(file);
    fill(SLOTS + 10);
    const after = ledger(file);
    assert.equal(after.discarded, discarded);
    assert.ok(totalOf(after.refused) > 0, JSON.stringify(after));
    take();
    releaseRings(file);
    const last = ledger(file);
    assert.ok(closes(last), JSON.stringify(last));
    assert.equal(last.pending, 0);
    closeFile(file, false);
    writer.close();
  });

  it("refuses what comes while what was there is read once", () => {
    const { fill, ledger, open, take, writer } = flightRecorder(true);
    fill(40);
    const file = open();
    const { discarded } = ledger(file);
    fill(7);
    assert.deepEqual([ledger(file).refused.ring_full, ledger(file).discarded], [7, discarded]);
    assert.equal(take(), SLOTS - 1);
    closeFile(file, false);
    writer.close();
  });
});

describe("a file that is followed", () => {
  it("is not attached before half of each ring is free", () => {
    const { fill, ledger, open, take, writer } = flightRecorder(false);
    fill(SLOTS - 1);
    const file = open();
    const attachedWith = (claimed: number): boolean => {
      take();
      releaseRings(file);
      fill(claimed);
      attach(file);
      return file.attached;
    };
    attach(file);
    assert.equal(file.attached, false);
    assert.equal(attachedWith(SLOTS / 2 + 1), false);
    assert.equal(attachedWith(SLOTS / 2), true);
    assert.equal(totalOf(ledger(file).refused), 0);
    closeFile(file, false);
    writer.close();
  });

  it("is removed under its own name alone", () => {
    for (const isMoved of [false, true]) {
      const { open, writer } = flightRecorder(true);
      const file = open();
      const { path } = file;
      const away = `${path}.away`;
      if (isMoved) {
        renameSync(path, away);
        writeFileSync(path, "somebody else's");
      }
      closeFile(file, true);
      assert.equal(existsSync(path), isMoved);
      assert.equal(existsSync(away), isMoved);
      if (isMoved) assert.equal(readFileSync(path, "utf8"), "somebody else's");
      writer.close();
    }
  });
});
