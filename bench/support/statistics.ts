/**
 * Medians and how they are printed.
 *
 * @module
 */

/** The middle of the values; the mean of the two in the middle for an even number; NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** The mean; NaN for none. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** `median (least–most)`, each written by `format`. */
export function spread(values: readonly number[], format: (value: number) => string): string {
  const sorted = [...values].sort((a, b) => a - b);
  const ends = `${format(sorted[0])}–${format(sorted[sorted.length - 1])}`;
  return `${format(median(values))} (${ends})`;
}

/** Without decimals, thousands apart. */
export function whole(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** A row of a Markdown table. */
export function row(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

/** The first lines of a Markdown table: headings, and all but the first column to the right. */
export function heading(cells: readonly string[]): string {
  return `${row(cells)}\n${row(cells.map((_, i) => i === 0 ? "---" : "---:"))}`;
}
