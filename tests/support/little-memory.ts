/**
 * Programs that run until they have no memory left.
 *
 * @module
 */
import assert from "node:assert/strict";
import process from "node:process";
import type { End, ObserveOptions } from "./collector.ts";
import { ownRuntime } from "./runtimes.ts";

/**
 * How to start a program with little memory; null where that can't be. Deno's heap has a limit of its
 * own. Bun's ends with the memory of the process, which macOS does not limit: there it would use up
 * the memory of the machine.
 */
export const littleMemory: ObserveOptions | null = ownRuntime === "deno"
  ? { shell: "ulimit -c 0", flags: ["--v8-flags=--max-old-space-size=64"] }
  : process.platform === "linux"
  ? {
    shell: "ulimit -c 0 && ulimit -d 500000",
    // The room that Bun sets aside for machine code counts, too: a gigabyte unless told otherwise.
    env: { BUN_JSC_jitMemoryReservationSize: `${64 << 20}` },
  }
  : null;

/**
 * Throws when a program ended for another reason. Which part of the runtime meets the end first is
 * chance: it throws, aborts or crashes, each with words of its own, or none.
 */
export function assertOutOfMemory({ code, signal }: End, text: string): void {
  // Nobody but the system and the runtime itself sends it a signal.
  if (signal !== null) return;
  assert.notEqual(code, 0);
  assert.match(
    text,
    /out of memory|memory is exhausted|memory allocation of \d+ bytes failed|has crashed/i,
  );
}
