/**
 * Standard output, for much of it: a pipe that nobody reads holds up nothing but what is written to it.
 *
 * @module
 */
import process from "node:process";

type Done = (error?: Error | null) => void;

const deno = (globalThis as {
  Deno?: { readonly stdout: { write(bytes: Uint8Array): Promise<number> } };
}).Deno;

let written: Promise<void> = Promise.resolve();

/** Writes text behind what was written so before, and calls `done` once it is out or has failed. */
export function writeStdout(text: string, done: Done): void {
  // Deno's `process.stdout` keeps the whole program, its signals too, from going on where a pipe is full.
  if (deno === undefined) return void process.stdout.write(text, done);
  const bytes = new TextEncoder().encode(text);
  written = written.then(() => writeAll(bytes)).then(() => done(), (error) => {
    done(error);
    // As on Bun: who listens for a reader that went away need not ask each write.
    if (process.stdout.listenerCount("error") > 0) process.stdout.emit("error", error);
  });
}

async function writeAll(bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await deno!.stdout.write(bytes.subarray(at));
}
