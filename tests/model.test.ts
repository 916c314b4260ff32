/**
 * Random sequences of operations against a model that says what must come out and what the ledger
 * must say. A sequence that fails is made as short as it can be and printed as one to paste into
 * KNOWN.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { makeSequence, type Operation, type Sequence } from "./support/model/operations.ts";
import { replay } from "./support/model/replay.ts";
import { shrink } from "./support/model/shrink.ts";
import { Random, seed } from "./support/random.ts";
import { isFullSize } from "./support/runtimes.ts";

const place = mkdtempSync(join(tmpdir(), "otlp-mmap-model-"));
after(() => rmSync(place, { recursive: true }));

/** Sequences in one process, and of these that have another one killed in them. */
const [RUNS, PROCESSES] = isFullSize ? [5000, 250] : [300, 10];

/** Sequences that have failed once. */
const KNOWN: readonly Sequence[] = [
  // Measurements of a file that was shut down, taken while another of its process is written.
  {
    slots: [8, 8, 8],
    last: "collector",
    operations: [{ do: "measure" }, { do: "close" }, { do: "restart" }, { do: "collect" }],
  },
  // A span without an end, of a process that goes on in another file.
  {
    slots: [16, 8, 4],
    last: "collector",
    operations: [
      { do: "start" },
      { do: "end", span: 1 },
      { do: "kill" },
      { do: "corrupt", file: 5, ring: 1, record: 13, how: "bytes" },
      { do: "restart" },
      { do: "collect" },
    ],
  },
  // The same, where another reader has taken the end.
  {
    slots: [16, 16, 4],
    last: "collector",
    operations: [
      { do: "start" },
      { do: "fill dictionary" },
      { do: "event", span: 2 },
      { do: "attach", file: 5 },
      { do: "end", span: 6 },
      { do: "take", limit: 1 },
      { do: "release" },
      { do: "collect" },
    ],
  },
];

/** Throws what is wrong with a sequence, and the shortest one with which something is. */
async function check(sequence: Sequence): Promise<void> {
  let error: unknown;
  const fails = async (operations: readonly Operation[]): Promise<boolean> => {
    try {
      await replay(place, { ...sequence, operations });
      return false;
    } catch (thrown) {
      error = thrown;
      return true;
    }
  };
  if (!await fails(sequence.operations)) return;
  const operations = [...await shrink(sequence.operations, fails)];
  for (const [i, operation] of operations.entries()) {
    if (operation.do !== "process") continue;
    const calls = await shrink(
      operation.calls,
      (calls) => fails(operations.with(i, { do: "process", calls })),
      50,
    );
    operations[i] = { do: "process", calls };
  }
  await fails(operations);
  const shortest = JSON.stringify({ ...sequence, operations });
  assert.fail(`seed ${seed}, ${operations.length} operations: ${shortest}\n${error}`);
}

describe("what comes out, and what the ledger says, is what the model says", () => {
  it("for sequences that failed once", async () => {
    for (const sequence of KNOWN) await check(sequence);
  });

  it(`for ${RUNS} random sequences`, { timeout: isFullSize ? 3_600_000 : 300_000 }, async () => {
    console.log(`seed ${seed}`);
    const random = new Random();
    for (let run = 0; run < RUNS; run++) {
      const isSpecial = run % Math.floor(RUNS / PROCESSES) === 0;
      // A seed of its own, so that a run is the same whatever others have drawn.
      await check(makeSequence(new Random(random.word()), isSpecial));
    }
  });
});
