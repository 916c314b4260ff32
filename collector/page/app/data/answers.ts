/**
 * What the API answers beside what the store's query types say.
 *
 * @module
 */
import type { StoreState } from "../../../store/queries/types.ts";

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

/** What the event `news` says. */
export interface News {
  readonly lastSpan: number;
  readonly lastLog: number;
  readonly points: number;
}
