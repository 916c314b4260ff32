/**
 * Standard output, or a new file.
 *
 * @module
 */
import { closeSync, openSync, writeSync } from "node:fs";
import process from "node:process";
import type { TextStream } from "../delivery/sinks.ts";
import { printable, whyNotRead } from "./text.ts";

/** Where lines go, until it is closed. */
export interface Output extends TextStream {
  close(): void;
}

/**
 * Opens a file that must not exist yet, for telemetry is private and may be all there is; without a
 * path, standard output.
 *
 * @throws Error that names the file and says what to do.
 */
export function openOutput(path: string | undefined): Output {
  if (path === undefined) {
    // Whoever reads it may go away (`| head`): each write says so.
    process.stdout.on("error", () => {});
    return { write: (text, done) => process.stdout.write(text, done), close: () => {} };
  }
  const fd = create(path);
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

function create(path: string): number {
  try {
    return openSync(path, "wx", 0o600);
  } catch (error) {
    const name = printable(path);
    switch ((error as { code?: string }).code) {
      case "EEXIST":
        throw new Error(
          `${name} is there already, and nothing is written over: name a new file, or remove it`,
        );
      case "ENOENT":
        throw new Error(`${name} can't be made: there is no such directory`);
    }
    throw new Error(`${name} can't be made: ${whyNotRead(error as Error)}`);
  }
}
