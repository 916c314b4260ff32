/**
 * Disk buffering for OTLP: store first, deliver from disk.
 *
 * @module
 */
export type { SpoolSignal } from "./names.ts";
export { openSpool } from "./spool.ts";
export type { Placed, PutOptions, Refused, Spool, SpoolOptions, Stored } from "./spool.ts";
export type { DropReason, RefusalReason, ShelfCounts as SpoolCounts, Tally } from "./shelf.ts";
