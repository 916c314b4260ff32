/**
 * Durations as people write them.
 *
 * @module
 */

const UNITS: Record<string, number> = { "": 1, ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/**
 * Milliseconds of `500`, `500ms`, `10s`, `1.5s`, `2m` or `1h`; `undefined` for anything else.
 */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,12}(?:\.\d{1,6})?)\s*(ms|s|m|h|)$/.exec(text.trim());
  return match === null ? undefined : Number(match[1]) * UNITS[match[2]];
}
