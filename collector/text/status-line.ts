/**
 * The last line of a terminal, which is written over again and again.
 *
 * @module
 */
import process from "node:process";

// Of the module: a terminal has one last line.
let held = false;

/** Shows a text there. Only where standard error is a terminal. */
export function holdLine(text: string): void {
  held = true;
  process.stderr.write(`\r${text}\x1b[K`);
}

/** Takes it away, if there is one, so that other lines may follow. */
export function clearLine(): void {
  if (held) process.stderr.write("\r\x1b[K");
  held = false;
}
