/**
 * The numbers that the store has for the resources of processes.
 *
 * @module
 */
import type { Identity } from "../files/names.ts";
import type { Asker } from "./asker.ts";

/** Finds the numbers that the store has for resources. */
export interface ResourceIds {
  of(identity: Identity): number | null;
  /** Asks the store for those of processes that are not known yet. */
  learn(identities: readonly Identity[]): Promise<void>;
}

/** Processes that are remembered. */
const MAX_KNOWN = 10_000;

/** @param asker To the store. */
export function createResourceIds(asker: Asker): ResourceIds {
  const known = new Map<string, number>();
  const keyOf = ({ instance, pid, service }: Identity): string =>
    JSON.stringify([service, instance, pid]);
  return {
    of: (identity) => known.get(keyOf(identity)) ?? null,
    async learn(identities) {
      const wanted = identities.filter((identity) => !known.has(keyOf(identity)));
      if (wanted.length === 0) return;
      const reply = await asker.ask(["find", wanted]);
      if (reply.kind !== "answer") return;
      if (known.size > MAX_KNOWN) known.clear();
      const ids = JSON.parse(new TextDecoder().decode(reply.body)) as (number | null)[];
      ids.forEach((id, i) => {
        if (id !== null) known.set(keyOf(wanted[i]), id);
      });
    },
  };
}
