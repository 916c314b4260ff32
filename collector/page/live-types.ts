/**
 * What is answered of processes that live: for those who make it and for those who show it.
 *
 * @module
 */
import type { Span, Trace } from "../store/queries/types.ts";

/** A ring of a file, over the life of the file. */
export interface LiveRing {
  readonly name: string;
  /** The share of its slots that is in use, 0 to 1. */
  readonly fill: number;
  readonly claimed: number;
  readonly delivered: number;
  readonly torn: number;
  /** By reason, where there are any. */
  readonly refused: Readonly<Record<string, number>>;
  /** How old the first record is that was not taken; 0 where there is none, or its age is not known. */
  readonly lagMs: number;
}

/** A file that is followed. */
export interface LiveFile {
  readonly path: string;
  readonly rings: readonly LiveRing[];
}

/** A process that is followed, or was until it ended. */
export interface LiveProcess {
  /** Its resource in the store; null before anything of it was stored. */
  readonly resourceId: number | null;
  readonly service: string;
  readonly pid: number;
  readonly runtime: string;
  readonly alive: boolean;
  /** It ended without saying so. */
  readonly crashed: boolean;
  /** When it started, unix milliseconds. */
  readonly since: number;
  readonly files: readonly LiveFile[];
  readonly openSpans: number;
}

/** A span that is open. */
export type OpenSpan = Omit<Span, "id" | "durationNs" | "resourceId" | "scopeId"> & {
  /** Its process's in the store; null before anything of that was stored. */
  readonly resourceId: number | null;
};

/** What is stored of a trace, and what of it is open. */
export interface TraceNow extends Trace {
  /** At most 1,000. */
  readonly open: readonly OpenSpan[];
}

/** What is live. */
export interface Live {
  readonly processes: readonly LiveProcess[];
}
