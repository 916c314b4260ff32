/**
 * A process is killed right after each of its steps that another one can see; what its file then
 * holds is in support/kill-table.ts, to the record.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, it } from "node:test";
import { closes, totalOf } from "../lib/file/ledger.ts";
import { Reader } from "../lib/reader.ts";
import { ROOT } from "../tools/runtimes.ts";
import { afterDeath } from "./support/death.ts";
import { groupSteps, KILL_TABLE, type Row } from "./support/kill-table.ts";
import { commandLineOf, isFullSize, ownRuntime, plainEnvironment } from "./support/runtimes.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-kill-table-"));
after(() => rmSync(directory, { recursive: true }));

/** Processes at a time. */
const AT_ONCE = 4;

/** Runs the writer up to a step, 0 for all of them; gives what it printed. */
async function runWriter(path: string, operation: string, step: number): Promise<string> {
  const file = join(ROOT, "tests/testdata/killed-writer.ts");
  const [command, ...args] = commandLineOf(ownRuntime, file, [path, operation, `${step}`]);
  const child = spawn(command, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: plainEnvironment(),
  });
  let text = "";
  let errors = "";
  child.stdout.setEncoding("utf8").on("data", (piece: string) => text += piece);
  child.stderr.setEncoding("utf8").on("data", (piece: string) => errors += piece);
  const [code, signal] = await once(child, "close");
  // Deno tells of a child's death by signal 9 in its own way, too.
  const expected = step === 0 ? code === 0 : signal === "SIGKILL" || code === 137;
  assert.ok(expected, `${operation}, step ${step}: ${code} ${signal} ${errors}`);
  return text;
}

/** What readers make of all files at a path, once their writer is dead. */
async function take(
  path: string,
): Promise<Record<"offered" | "delivered" | "torn" | "refused" | "discarded", number>> {
  const sum = { offered: 0, delivered: 0, torn: 0, refused: 0, discarded: 0 };
  const [name, folder] = [path.slice(path.lastIndexOf("/") + 1), join(path, "..")];
  const names = readdirSync(folder).filter((each) =>
    (each === name || each.startsWith(`${name}.`)) && !/\.(tmp|reader)$/.test(each)
  );
  for (const each of names) {
    const reader = Reader.open(join(folder, each));
    assert.notEqual(await afterDeath(reader), "writing", each);
    const records = reader.poll();
    for (const record of records) assert.ok(!("unreadable" in record), String(record.sequence));
    reader.release();
    let delivered = 0;
    for (const ledger of reader.ledger()) {
      assert.ok(closes(ledger), JSON.stringify(ledger));
      assert.deepEqual([ledger.pending, totalOf(ledger.rejected)], [0, 0]);
      sum.offered += ledger.offered;
      sum.torn += ledger.torn;
      sum.discarded += ledger.discarded;
      sum.refused += totalOf(ledger.refused);
      delivered += ledger.delivered;
    }
    assert.equal(delivered, records.length);
    sum.delivered += delivered;
    reader.close();
  }
  return sum;
}

/** The steps after which it is killed: all, or where something begins and ends. */
function chosen(names: readonly string[], first: number, last: number): number[] {
  const all = Array.from({ length: last - first + 1 }, (_, i) => first + i);
  if (isFullSize) return all;
  const inGroup = all.map((step) => names[step - 1]);
  return all.filter((_, i) =>
    inGroup.indexOf(inGroup[i]) === i || inGroup.lastIndexOf(inGroup[i]) === i
  );
}

describe("a writer that is killed after any of its steps", () => {
  for (const { operation, before, rows } of KILL_TABLE) {
    it(`leaves what the table says: ${operation}`, { timeout: 600_000 }, async () => {
      let files = 0;
      const place = mkdtempSync(join(directory, "at-"));
      const newPath = (): string => join(place, `${files++}`);
      const trace = newPath();
      const names = JSON.parse(await runWriter(trace, operation, 0)) as string[];
      const groups = groupSteps(names);
      // The C library of macOS has no posix_fallocate.
      const known = rows.filter(([name]) =>
        process.platform !== "darwin" || name !== "posix_fallocate"
      );
      assert.deepEqual(groups.map(({ name }) => name), known.map(([name]) => name));
      const expected = ([, delivered, torn, refused = 0, discarded = 0]: Row) => ({
        offered: before + delivered + torn + refused + discarded,
        delivered: before + delivered,
        torn,
        refused,
        discarded,
      });
      assert.deepEqual(await take(trace), expected(known.at(-1)!), "all steps");

      const kills = groups.flatMap(({ first, last }, i) =>
        chosen(names, first, last).map((step) => ({ step, row: known[i] }))
      );
      const next = kills.values();
      const work = async (): Promise<void> => {
        for (const { step, row } of next) {
          const path = newPath();
          await runWriter(path, operation, step);
          assert.deepEqual(await take(path), expected(row), `killed after step ${step}, ${row[0]}`);
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
      rmSync(place, { recursive: true });
    });
  }
});
