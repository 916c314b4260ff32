/**
 * Standard output, or a new file.
 *
 * @module
 */
import { closeSync, openSync, unlinkSync, writeSync } from "node:fs";
import process from "node:process";
import { writeStdout } from "../../ffi/mod.ts";
import type { TextStream } from "../delivery/sinks.ts";
import { log } from "./log.ts";
import { firstLine, printable, whyNotRead } from "./text.ts";

/** Where lines go, until it is closed. */
export interface Output extends TextStream {
  /** @param keep False takes a new file away again: nothing came of it. */
  close(keep?: boolean): void;
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
    const said = sayOnce("standard output");
    let failure: Error | null | undefined;
    return {
      write(text, done): void {
        if (failure) return done(failure);
        const end = (error?: Error | null): void => {
          failure ??= error;
          said(error);
          done(error);
        };
        writeStdout(text, end);
      },
      close: () => {},
    };
  }
  const fd = create(path);
  const said = sayOnce(printable(path));
  return {
    write(text, done): void {
      try {
        const bytes = new TextEncoder().encode(text);
        for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
        done();
      } catch (error) {
        said(error as Error);
        done(error as Error);
      }
    },
    close(keep = true): void {
      closeSync(fd);
      if (!keep) unlinkSync(path);
    },
  };
}

/** Says why writes fail, with the first that does; not of a reader that went away. */
function sayOnce(name: string): (error?: Error & { code?: string } | null) => void {
  let isSaid = false;
  return (error) => {
    if (!error || isSaid || error.code === "EPIPE") return;
    isSaid = true;
    log("error", `${name} can't be written: ${firstLine(error.message)}`);
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
