/**
 * Waits for the lock of a process that was killed to be free.
 *
 * @module
 */
import type { OwnerState } from "../../lib/file/owner.ts";

/**
 * What became of an owner that has ended. The system may keep its memory, and with that its lock, for
 * a moment longer: while somebody looks at what it has mapped (/proc/PID/maps), say.
 */
export async function afterDeath(reader: { owner(): OwnerState }): Promise<OwnerState> {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline;) {
    const state = reader.owner();
    if (state !== "writing") return state;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return "writing";
}
