/**
 * Places and limits in which a file can't be made, or not where it was wanted: the application goes
 * on, and says what a person can do.
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, describe, it } from "node:test";
import { closes } from "../lib/file/ledger.ts";
import { Reader } from "../lib/reader.ts";
import { type Program, startProgramIn, startProgramOn } from "./support/programs.ts";
import { mountTmpfs } from "./support/tmpfs.ts";
import { otherRuntime, ownRuntime } from "./support/runtimes.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-limits-"));
after(() => rmSync(directory, { recursive: true }));

const SPANS = 1;
const ROUNDS = 20;

interface Started {
  readonly path?: string;
  readonly reason?: string;
  readonly said: string[];
}

async function withProgram(
  body: (program: Program) => Promise<void>,
  shell?: string,
): Promise<void> {
  const program = await startProgramIn(shell, ownRuntime, "limited.ts");
  try {
    await body(program);
  } finally {
    await program.stop("kill");
  }
}

/** The names of the spans that were started in a file. */
function startsIn(path: string): string[] {
  const reader = Reader.open(path);
  const names = reader.poll(1000).flatMap((record) =>
    record.ring === "spans" && "change" in record && record.change.what === "start"
      ? [record.change.name]
      : []
  );
  reader.release();
  for (const ledger of reader.ledger()) {
    assert.ok(closes(ledger), JSON.stringify(ledger));
    assert.equal(ledger.offered, ledger.delivered);
  }
  reader.close();
  return names;
}

describe("two applications told to write the same exact file", () => {
  it(
    `that start at the same instant both record, ${ROUNDS} times`,
    { timeout: 120_000 },
    async () => {
      const shared = join(directory, "barrier");
      writeFileSync(shared, new Uint8Array(4096));
      const place = join(directory, "exact");
      mkdirSync(place);
      const programs = [
        await startProgramOn(ownRuntime, "limited.ts"),
        await startProgramOn(otherRuntime, "limited.ts"),
      ];
      try {
        const both = <T>(command: (i: number) => { [key: string]: unknown }): Promise<T[]> =>
          Promise.all(programs.map((program, i) => program.ask<T>(command(i))));
        await both(() => ({ op: "barrier", path: shared }));
        for (let round = 1; round <= ROUNDS; round++) {
          // Every other time the file of the round before is still there.
          const file = join(place, `${round >> 1}.otlp`);
          const started = await both<Started>(() => ({ op: "race", file, round }));
          for (const { reason } of started) assert.equal(reason, undefined);
          const paths = started.map(({ path }) => path!);
          assert.equal(new Set(paths).size, 2, paths.join());
          assert.ok(paths.includes(file), paths.join());
          for (const { path, said } of started) {
            if (path === file) assert.deepEqual(said, []);
            else {
              assert.ok(path!.startsWith(`${file}.`));
              assert.deepEqual(said, [
                `${file} is written by another process that lives: this one writes ${path}`,
              ]);
            }
          }
          await both((i) => ({ op: "spans", count: 5, name: `${round} ${i}` }));
          paths.forEach((path, i) => {
            assert.deepEqual(startsIn(path), new Array(5).fill(`${round} ${i}`));
          });
          await both(() => ({ op: "shutdown" }));
        }
        assert.deepEqual(readdirSync(place).filter((name) => name.endsWith(".tmp")), []);
      } finally {
        await Promise.all(programs.map((program) => program.stop("kill")));
      }
    },
  );
});

describe("limits of the process", () => {
  it("on the size of files: nothing is made, and the application goes on", () =>
    withProgram(async (program) => {
      const place = mkdtempSync(join(directory, "size-"));
      const { reason } = await program.ask<Started>({ op: "start", file: join(place, "a.otlp") });
      assert.match(reason!, /^telemetry is off: .*over this process's limit of .*ulimit -f/);
      assert.deepEqual(readdirSync(place), []);
      await program.ask({ op: "spans", count: 10, name: "nowhere" });
    }, "ulimit -c 0 && ulimit -f 100"));

  it("on the size of files, when the dictionary grows: what has no room is counted", () =>
    withProgram(async (program) => {
      const place = mkdtempSync(join(directory, "growth-"));
      const file = join(place, "a.otlp");
      // The file fits, and some growth.
      const { path } = await program.ask<Started>({ op: "start", file });
      assert.equal(path, file);
      const count = 500;
      const said = await program.ask<string[]>({ op: "spans", count, name: "many" });
      assert.ok(said.length > 0);
      let offered = 0;
      let refused = 0;
      for (const name of readdirSync(place)) {
        const reader = Reader.open(join(place, name));
        const ledger = reader.ledger()[SPANS];
        assert.ok(closes(ledger));
        offered += ledger.offered;
        refused += ledger.refused.dictionary_full;
        reader.close();
      }
      // Starts, and ends of those that were not refused; attributes go with the start.
      assert.ok(refused > 0 && offered > count, `${refused} of ${offered}`);
      assert.equal(offered, count + (count - refused - others(place)));
    }, "ulimit -c 0 && ulimit -f 2400"));

  it("on descriptors: nothing is left half made, and the next start goes well", () =>
    withProgram(async (program) => {
      const place = mkdtempSync(join(directory, "descriptors-"));
      const file = join(place, "a.otlp");
      const { reason } = await program.ask<Started>({ op: "crowd", file, left: 0 });
      assert.match(reason!, /^telemetry is off: .*too many open files.*ulimit -n/);
      assert.deepEqual(readdirSync(place), []);
      const { path } = await program.ask<Started>({ op: "start", file });
      assert.equal(path, file);
    }, "ulimit -n 200"));
});

/** Starts that were refused for another reason than the dictionary: the rings are full. */
function others(place: string): number {
  let count = 0;
  for (const name of readdirSync(place)) {
    const reader = Reader.open(join(place, name));
    const { refused } = reader.ledger()[SPANS];
    count += refused.reserve + refused.ring_full + refused.encode;
    reader.close();
  }
  return count;
}

const mounted = join(directory, "mounted");
mkdirSync(mounted);
const unmount = mountTmpfs(mounted, "ro");
// Only root can mount.
if (unmount !== undefined) {
  describe("a read-only file system", () => {
    it("is named, with what to do, and the application goes on", async () => {
      try {
        await withProgram(async (program) => {
          const file = join(mounted, "a.otlp");
          const { reason } = await program.ask<Started>({ op: "start", file });
          assert.match(reason!, /^telemetry is off: .*read-only file system.*OTLP_MMAP_DIR/);
          assert.ok(reason!.includes(basename(file)));
          await program.ask({ op: "spans", count: 10, name: "nowhere" });
        });
        assert.equal(existsSync(join(mounted, "a.otlp")), false);
      } finally {
        unmount();
      }
    });
  });
}
