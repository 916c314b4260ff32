/**
 * Many short-lived processes that record through the SDK, each with a journal of what it did.
 *
 * @module
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { bunPath, ROOT } from "../../tools/runtimes.ts";
import { Journal } from "./journal.ts";
import { plainEnvironment } from "./runtimes.ts";

/** A process that is over, and how many calls it entered and returned from. */
export interface Lived {
  readonly name: string;
  readonly entered: number;
  readonly returned: number;
  /** Ended by SIGKILL rather than in order. */
  readonly killed: boolean;
}

/** When a process records. */
export interface Turns {
  /** Between two turns, ms. */
  readonly pauseMs: number;
  /** Calls in each. */
  readonly calls: number;
}

/** An idle process costs a fourth: what it does in its few seconds does not pay for being compiled. */
const FRUGAL = { BUN_GC_TIMER_DISABLE: "1", BUN_JSC_useBaselineJIT: "0" };

interface Living {
  readonly name: string;
  readonly child: ChildProcess;
  readonly journal: Journal;
  readonly journalPath: string;
  readonly ended: Promise<void>;
  errors: string;
}

/**
 * Processes of tests/testdata/short-lived.ts. They run on Bun whatever runs the test, as one file
 * without imports: each costs 50 ms of a core to start, 1 ms a second when it wakes once, and 7 MB.
 */
export class Population {
  /** Those that are over, in the order of their end. */
  readonly lived: Lived[] = [];
  private readonly living: Living[] = [];
  private readonly program: string;
  private readonly journals: string;
  private readonly place: string;
  private readonly turns: Turns;
  private count = 0;

  /**
   * @param work A directory for what the population needs itself.
   * @param place Where the processes put their files.
   */
  constructor(work: string, place: string, turns: Turns) {
    this.place = place;
    this.turns = turns;
    this.journals = join(work, "journals");
    mkdirSync(this.journals, { recursive: true });
    this.program = join(work, "short-lived.js");
    const source = join(ROOT, "tests/testdata/short-lived.ts");
    const built = spawnSync(
      bunPath(),
      ["build", "--target=bun", `--outfile=${this.program}`, source],
      { encoding: "utf8", cwd: ROOT },
    );
    if (built.status !== 0) throw new Error(`short-lived.ts can't be bundled: ${built.stderr}`);
  }

  /** Processes that were started and not told to end. */
  get alive(): number {
    return this.living.length;
  }

  /** Those of them that have recorded nothing yet. */
  get beginning(): number {
    return this.living.filter(({ journal }) => journal.returned === 0).length;
  }

  /** Starts one more. */
  start(): void {
    const name = `writer ${this.count++}`;
    const journalPath = join(this.journals, `${this.count}`);
    const journal = Journal.create(journalPath);
    const { pauseMs, calls } = this.turns;
    const child = spawn(
      bunPath(),
      [this.program, this.place, journalPath, name, `${pauseMs}`, `${calls}`],
      {
        stdio: ["pipe", "ignore", "pipe"],
        env: { ...plainEnvironment(), ...FRUGAL },
      },
    );
    const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
    const one: Living = { name, child, journal, journalPath, ended, errors: "" };
    child.stderr.setEncoding("utf8").on("data", (text: string) => one.errors += text);
    this.living.push(one);
  }

  /**
   * Ends the oldest one, by SIGKILL or in order, and resolves when it is over.
   *
   * @param begun Not before its first call returned; in order is always after that.
   */
  async end(how: "SIGKILL" | "SIGTERM", begun = how === "SIGTERM"): Promise<void> {
    const one = this.living.shift();
    if (one === undefined) throw new Error("nobody is alive");
    const { name, child, journal, journalPath, ended } = one;
    while (begun && journal.returned === 0 && child.exitCode === null) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    process.kill(child.pid!, how);
    await ended;
    const { entered, returned } = journal;
    journal.close();
    unlinkSync(journalPath);
    if (one.errors !== "") throw new Error(`${name}: ${one.errors}`);
    this.lived.push({ name, entered, returned, killed: how === "SIGKILL" });
  }

  /** Kills all that are left. */
  async endAll(): Promise<void> {
    while (this.living.length > 0) await this.end("SIGKILL");
  }
}
