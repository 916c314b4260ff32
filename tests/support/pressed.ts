/**
 * Writers that record as fast as they are read, until they are killed: what they say of themselves, and
 * what their files say afterwards.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { readGeometry, type RingGeometry } from "../../lib/file/geometry.ts";
import {
  closes,
  describeLedger,
  readLedger,
  type RingLedger,
  totalOf,
} from "../../lib/file/ledger.ts";
import { MappedFile } from "../../lib/file/mapped.ts";
import { RING_EVENTS, RING_MEASUREMENTS, RING_SPANS } from "../../lib/format/layout.ts";
import { ROOT } from "../../tools/runtimes.ts";
import { Journal } from "./journal.ts";
import { commandLineOf, plainEnvironment, type RuntimeName } from "./runtimes.ts";
import type { Calls } from "./tally.ts";

/** Spans are ended so many calls after the one that began them. */
export const OPEN_CALLS = 20;

/** One process of tests/testdata/pressed-writer.ts. */
export class PressedWriter {
  readonly name: string;
  private readonly directory: string;
  private readonly journalPath: string;
  private readonly journal: Journal;
  private readonly child: ChildProcess;
  private readonly ended: Promise<void>;
  private errors = "";
  /** Its file, for which it keeps its place while others remove it. */
  private file: { readonly file: MappedFile; readonly rings: readonly RingGeometry[] } | null =
    null;
  private over: Calls | null = null;

  /**
   * Starts it.
   *
   * @param files It makes a directory there, for itself.
   * @param journals Where it says what it has done.
   */
  constructor(runtime: RuntimeName, files: string, journals: string, name: string) {
    this.name = name;
    this.directory = join(files, name);
    mkdirSync(this.directory, { mode: 0o700 });
    this.journalPath = join(journals, name);
    this.journal = Journal.create(this.journalPath);
    const program = join(ROOT, "tests/testdata/pressed-writer.ts");
    const args = [this.directory, this.journalPath, name];
    const [command, ...rest] = commandLineOf(runtime, program, args);
    this.child = spawn(command, rest, {
      stdio: ["pipe", "ignore", "pipe"],
      env: plainEnvironment(),
    });
    this.ended = new Promise((resolve) => this.child.once("close", () => resolve()));
    this.child.stderr!.setEncoding("utf8").on("data", (text: string) => this.errors += text);
  }

  /** Calls that returned so far. */
  get returned(): number {
    return this.journal.returned;
  }

  /** Once it records: its file can be found until it dies. */
  async begun(): Promise<void> {
    while (this.journal.returned === 0) {
      assert.equal(this.child.exitCode, null, `${this.name} has ended: ${this.errors}`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    if (this.file !== null) return;
    const [name] = readdirSync(this.directory).filter((each) => each.endsWith(".otlp"));
    const file = MappedFile.open(join(this.directory, name));
    // Now: later its dictionary may reach beyond what is mapped here.
    const geometry = readGeometry(name, file.u8, file.size);
    assert.ok("rings" in geometry);
    this.file = { file, rings: geometry.rings };
  }

  /** Sends SIGKILL, and returns what resolves when it is over. */
  kill(): Promise<void> {
    const { exitCode, pid, signalCode } = this.child;
    if (exitCode === null && signalCode === null) process.kill(pid!, "SIGKILL");
    return this.ended;
  }

  /** What it did, once it is over. */
  get calls(): Calls {
    if (this.over === null) {
      assert.equal(this.errors, "", this.name);
      const { entered, returned } = this.journal;
      this.over = { name: this.name, entered, returned };
      this.journal.close();
      rmSync(this.journalPath);
    }
    return this.over;
  }

  /** What its file says now, where that was found: it closes whoever reads and writes it. */
  ledger(): RingLedger[] {
    if (this.file === null) return [];
    const { file, rings } = this.file;
    return rings.map((ring) => {
      const ledger = readLedger(file, ring);
      assert.ok(closes(ledger), `${this.name}: ${describeLedger(ledger).join("; ")}`);
      return ledger;
    });
  }

  /** Nothing is left of its file: but what it had not named yet, or the lock of a killed reader. */
  get isRead(): boolean {
    return !readdirSync(this.directory).some((name) => /^[^.].*\.(otlp|left)$/.test(name));
  }

  /** What its file says of each ring is what the program has done. */
  check(): void {
    const { calls: { entered, returned }, name } = this;
    assert.ok(this.isRead, name);
    const ledgers = this.ledger();
    this.file?.file.close();
    this.file = null;
    for (const [ring, ledger] of ledgers.entries()) {
      const what = `${name}: ${describeLedger(ledger).join("; ")}, ${returned} calls`;
      const { delivered, discarded, pending, refused, rejected, torn } = ledger;
      const none = [discarded, pending, totalOf(refused), totalOf(rejected)];
      assert.deepEqual(none, [0, 0, 0, 0], what);
      // Of the call that was under way, one record at most is claimed and not published.
      assert.ok(torn <= Number(entered > returned), what);
      const [least, most] = [returned, entered].map((count) => RECORDS[ring](count));
      assert.ok(delivered >= least && delivered <= most, what);
    }
  }
}

/** Records of so many calls, by ring. */
const RECORDS: Readonly<Record<number, (calls: number) => number>> = {
  [RING_EVENTS]: (calls) => 2 * calls,
  [RING_SPANS]: (calls) => calls + 2 * Math.max(0, calls - OPEN_CALLS),
  [RING_MEASUREMENTS]: (calls) => calls,
};
