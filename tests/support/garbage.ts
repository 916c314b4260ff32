/**
 * Collects garbage when a test asks: what a process holds can't be told while it has not been collected.
 *
 * @module
 */
import v8 from "node:v8";
import vm from "node:vm";

/** Collects all garbage of this process, now. What weak references name goes after this turn. */
export const collectGarbage: () => void = collector();

function collector(): () => void {
  const { Bun } = globalThis as unknown as { Bun?: { gc(all: true): void } };
  if (Bun !== undefined) return () => Bun.gc(true);
  // Contexts that are made after this have the function.
  v8.setFlagsFromString("--expose-gc");
  return vm.runInNewContext("gc") as () => void;
}
