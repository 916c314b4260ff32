/**
 * Times in nanoseconds as milliseconds.
 *
 * @module
 */

/** Milliseconds of nanoseconds, exact to a quarter of a microsecond: first divided, then a number. */
export function milliseconds(ns: bigint): number {
  return Number(ns / 1_000_000n) + Number(ns % 1_000_000n) / 1e6;
}

/** The same for a column of SQL. */
export function msOf(column: string): string {
  return `(${column} / 1000000 + (${column} % 1000000) / 1e6)`;
}
