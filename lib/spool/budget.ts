/**
 * Room on a disk that several spools of a process share.
 *
 * @module
 */
import type { Shelf } from "./shelf.ts";

/** A limit. Whoever is given the same object shares it. */
export interface SpoolBudget {
  /** Bytes of all files of the spools that share it, at most; it may change. */
  maxBytes: number;
}

const shelves = new WeakMap<SpoolBudget, Set<Shelf>>();

/** Whose files count. */
export function sharing(budget: SpoolBudget): Set<Shelf> {
  let all = shelves.get(budget);
  if (all === undefined) shelves.set(budget, all = new Set());
  return all;
}
