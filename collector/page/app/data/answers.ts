/**
 * What the API answers beside what the store's query types say.
 *
 * @module
 */
import type { Span, StoreState } from "../../../store/queries/types.ts";

/** `/api/state` */
export interface State extends StoreState {
  readonly version: string;
  /** Unix milliseconds. */
  readonly startedAt: number;
  /** Names of the endpoints that telemetry is sent to. */
  readonly endpoints?: readonly string[];
  /** Where OTLP of other programs is taken. */
  readonly receivers?: readonly string[];
}

/** A ring of a process's file. */
export interface LiveRing {
  readonly name: string;
  /** Share of its slots in use, 0 to 1. */
  readonly fill: number;
  readonly claimed: number;
  readonly delivered: number;
  readonly torn: number;
  /** Records refused, by reason. */
  readonly refused: Readonly<Record<string, number>>;
  readonly lagMs: number;
}

/** A process that is watched, or was until it died. */
export interface LiveProcess {
  /** Its resource in the store; null before anything of it was stored. */
  readonly resourceId: number | null;
  readonly service: string;
  readonly pid: number;
  readonly runtime: string;
  readonly alive: boolean;
  /** It ended without saying so. */
  readonly crashed: boolean;
  /** Unix milliseconds. */
  readonly since: number;
  readonly files: readonly { readonly path: string; readonly rings: readonly LiveRing[] }[];
  readonly openSpans: number;
}

/** `/api/live` */
export interface Live {
  readonly processes: readonly LiveProcess[];
}

/** A span that is open now, of `/api/open-spans`. */
export type OpenSpan = Omit<Span, "id" | "scopeId" | "durationNs" | "resourceId"> & {
  /** Null before anything of its process was stored. */
  readonly resourceId: number | null;
};

/** What the event `news` says. */
export interface News {
  readonly lastSpan: number;
  readonly lastLog: number;
  readonly points: number;
}
