/**
 * Sizes, times and paths in sentences.
 *
 * @module
 */
import { plural, printable } from "../text/text.ts";

/** `14.1 MiB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} bytes`;
  let value = bytes / 1024;
  let unit = 0;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value.toFixed(1)} ${units[unit]}`;
}

/** `14,745,600`. */
export function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}

/** `1,200 records`, `1 record`. */
export function counted(count: number, one: string, many?: string): string {
  return plural(count, one, many, formatCount(count));
}

/** `0.2 s`, `12 s`, `3 min`, `5 h`, `2 days`. */
export function formatAge(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

/** A path as a word of a shell command. */
export function shellWord(path: string): string {
  const shown = printable(path, 4096);
  return /^[\w./@:+,=-]+$/.test(shown) ? shown : `'${shown.replaceAll("'", `'\\''`)}'`;
}
