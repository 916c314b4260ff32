/**
 * Whether a signal went to this process alone, or to its whole process group: a terminal sends it to
 * all who run there (Ctrl-C), and so does `timeout`. Nothing in a signal handler says.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { isatty } from "node:tty";

/** What a terminal sends. */
const FROM_TERMINAL: readonly string[] = ["SIGINT", "SIGQUIT", "SIGHUP"];

/**
 * A process of the group that a signal ends, and that otherwise answers what it is asked. It goes with
 * this one, whatever ends that: its input is closed then.
 */
export class Witness {
  private cat: ChildProcess;
  /** The signal that ended it; undefined where there is no such program. */
  private end!: Promise<string | null | undefined>;

  constructor() {
    this.cat = this.start();
  }

  /** Did the whole group get this signal, which has come to this process? */
  async saw(signal: string): Promise<boolean> {
    const { cat, end } = this;
    const answer = new Promise<null>((resolve) => cat.stdout?.once("data", () => resolve(null)));
    cat.stdin?.write("\n");
    const by = await Promise.race([end, answer]);
    // Not process.stdin.isTTY: that would begin to take from the program's input.
    if (by === undefined) return isatty(0) && FROM_TERMINAL.includes(signal);
    if (by !== null && cat === this.cat) this.cat = this.start();
    return by === signal;
  }

  /** It is not needed any more. */
  close(): void {
    this.cat.stdin?.end();
  }

  private start(): ChildProcess {
    const cat = spawn("cat", [], { stdio: ["pipe", "pipe", "ignore"] });
    cat.stdin.on("error", () => {});
    this.end = new Promise((resolve) => {
      cat.once("error", () => resolve(undefined));
      cat.once("exit", (_code, signal) => resolve(signal));
    });
    return cat;
  }
}
