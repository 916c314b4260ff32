/**
 * Standard output, or a new file.
 *
 * @module
 */
import { closeSync, openSync, writeSync } from "node:fs";
import process from "node:process";
import type { TextStream } from "../delivery/sinks.ts";

/** Where lines go, until it is closed. */
export interface Output extends TextStream {
  close(): void;
}

/**
 * Opens a file that must not exist yet, for telemetry is private and may be all there is; without a
 * path, standard output.
 *
 * @throws Error that names the file.
 */
export function openOutput(path: string | undefined): Output {
  if (path === undefined) {
    // Whoever reads it may go away (`| head`): each write says so.
    process.stdout.on("error", () => {});
    return { write: (text, done) => process.stdout.write(text, done), close: () => {} };
  }
  const fd = openSync(path, "wx", 0o600);
  return {
    write(text, done): void {
      try {
        const bytes = new TextEncoder().encode(text);
        for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
        done();
      } catch (error) {
        done(error as Error);
      }
    },
    close: () => closeSync(fd),
  };
}
