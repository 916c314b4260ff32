/**
 * A bar on the last line of a terminal, while something takes long.
 *
 * @module
 */
import process from "node:process";
import { clearLine, holdLine } from "./status-line.ts";

const DRAW_MS = 100;
const CELLS = 30;

/** Whether somebody looks at standard error who wants a bar there. */
function isWanted(printing: boolean): boolean {
  const { stderr, stdout, env } = process;
  if (!stderr.isTTY || env.TERM === "dumb" || (env.CI ?? "") !== "") return false;
  // Lines of results would be mixed with it.
  return !(printing && stdout.isTTY);
}

/**
 * Shows how much is done until the function that is returned is called, which takes the bar away;
 * shows nothing where standard error is no terminal, nor with TERM=dumb, nor with CI.
 *
 * @param what Goes before the bar.
 * @param remaining Says how much is left, in any unit; the most it ever said counts as all.
 * @param printing Results are written to standard output meanwhile.
 */
export function startProgress(
  what: string,
  remaining: () => number,
  printing: boolean,
): () => void {
  if (!isWanted(printing)) return () => {};
  let all = remaining();
  const timer = setInterval(() => {
    const left = remaining();
    all = Math.max(all, left);
    // What is done is no news, and there may be more in a moment.
    if (left > 0) holdLine(bar(what, 1 - left / all));
  }, DRAW_MS);
  return () => {
    clearInterval(timer);
    clearLine();
  };
}

function bar(what: string, done: number): string {
  const cells = Math.floor(done * CELLS);
  const percent = String(Math.floor(done * 100)).padStart(3);
  return `${what} [${"#".repeat(cells)}${"-".repeat(CELLS - cells)}] ${percent} %`;
}
