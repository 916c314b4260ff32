/**
 * What the model test does to the system: small steps that can be dropped one by one, and written
 * down as JSON.
 *
 * @module
 */
import type { Random } from "../random.ts";

/** The calls of an application. `span` is one of those it has open, counted modulo their number. */
export type Call =
  | { readonly do: "start" | "log" | "long log" | "measure" }
  | {
    readonly do: "attribute" | "new key" | "link" | "rename" | "event" | "end" | "big";
    readonly span: number;
  }
  /** Records until the ring has refused one. */
  | { readonly do: "fill ring"; readonly ring: number }
  | { readonly do: "fill dictionary" }
  /** The ring has no sequences left: its next record starts a new file. */
  | { readonly do: "use up sequences"; readonly ring: number };

/** A step. `file` is one of those there are to choose from, counted modulo their number. */
export type Operation =
  | Call
  /** The writer goes without a word, or shuts down. */
  | { readonly do: "kill" | "close" | "restart" }
  /** Another process makes these calls and is killed by SIGKILL. */
  | { readonly do: "process"; readonly calls: readonly Call[] }
  | { readonly do: "attach"; readonly file: number }
  | { readonly do: "take"; readonly limit: number }
  | { readonly do: "release" | "detach" }
  /** All spans are ended, and a collector takes what there is. */
  | { readonly do: "collect" }
  /** In a file whose writer is gone: a record that waits. */
  | {
    readonly do: "corrupt";
    readonly file: number;
    readonly ring: number;
    readonly record: number;
    readonly how: "length" | "bytes" | "flag";
  }
  /** Cuts a file whose writer is gone: its header, its rings or its dictionary are not whole. */
  | { readonly do: "truncate"; readonly file: number; readonly at: "header" | "rings" | "end" };

/** Sizes of the files, the steps, and who takes what is left. */
export interface Sequence {
  /** Slots by ring: a power of two from 4 on. */
  readonly slots: readonly [number, number, number];
  readonly last: "reader" | "collector";
  readonly operations: readonly Operation[];
}

const CALLS = [
  ...["start", "start", "start", "attribute", "new key", "link", "rename", "event", "event"],
  ...["end", "end", "log", "log", "measure", "measure", "big", "long log"],
] as const;

function makeCall(random: Random): Call {
  switch (random.below(24)) {
    case 0:
      return { do: "fill ring", ring: random.below(3) };
    case 1:
      return { do: "fill dictionary" };
    case 2:
      return { do: "use up sequences", ring: random.below(3) };
    default:
      return { do: random.pick(CALLS), span: random.below(8) } as Call;
  }
}

function makeOperation(random: Random): Operation {
  const file = random.below(8);
  switch (random.below(26)) {
    case 0:
      return { do: "kill" };
    case 1:
      return { do: "close" };
    case 2:
    case 3:
      return { do: "restart" };
    case 4:
    case 5:
      return { do: "attach", file };
    case 6:
    case 7:
    case 8:
      return { do: "take", limit: random.pick([1, 2, 5, 100]) };
    case 9:
    case 10:
      return { do: "release" };
    case 11:
      return { do: random.below(3) > 0 ? "detach" : "collect" };
    case 12:
      return {
        do: "corrupt",
        file,
        ring: random.below(3),
        record: random.below(16),
        how: random.pick(["length", "bytes", "flag"]),
      };
    case 13:
      if (random.below(3) > 0) return { do: "detach" };
      return { do: "truncate", file, at: random.pick(["header", "rings", "end"]) };
    default:
      return makeCall(random);
  }
}

/** A random sequence. `processes`: other processes are part of it, which take their time. */
export function makeSequence(random: Random, processes: boolean): Sequence {
  const operations = Array.from({ length: 10 + random.below(60) }, () => makeOperation(random));
  if (processes) {
    for (let i = 0; i < 2; i++) {
      const calls = Array.from({ length: 1 + random.below(20) }, () => makeCall(random));
      operations.splice(random.below(operations.length), 0, { do: "process", calls });
    }
  }
  return {
    slots: [random.pick([4, 8, 16]), random.pick([4, 8, 16, 32]), random.pick([4, 8])],
    last: random.pick(["reader", "reader", "collector"]),
    operations,
  };
}
