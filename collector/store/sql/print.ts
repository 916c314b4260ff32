/**
 * Rows of an answer as a table, CSV or JSON.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { printable } from "../../text/text.ts";

/** A value of SQLite. */
export type Cell = string | number | bigint | null | Uint8Array;

/** How rows are printed. */
export type Format = "table" | "csv" | "json";

/** Rows whose widths a table waits for, and characters of a cell. */
const TABLE_ROWS = 1_000;
const MAX_CELL = 200;

/** Prints an answer row by row. */
export interface Printer {
  row(cells: readonly Cell[]): void;
  /** After the last row. */
  end(): void;
}

/** Begins an answer with these columns; `write` is called with one line at a time. */
export function createPrinter(
  columns: readonly string[],
  format: Format,
  write: (line: string) => void,
): Printer {
  if (format === "csv") {
    write(columns.map(csvOf).join(","));
    return { row: (cells) => write(cells.map(csvOf).join(",")), end: () => {} };
  }
  return format === "json" ? jsonPrinter(columns, write) : tablePrinter(columns, write);
}

function jsonPrinter(columns: readonly string[], write: (line: string) => void): Printer {
  let before: string | null = null;
  write("[");
  return {
    row(cells) {
      // A comma follows only where another one does.
      if (before !== null) write(`${before},`);
      const fields = columns.map((name, i) => `${JSON.stringify(name)}:${jsonOf(cells[i])}`);
      before = `{${fields.join(",")}}`;
    },
    end() {
      if (before !== null) write(before);
      write("]");
    },
  };
}

function tablePrinter(columns: readonly string[], write: (line: string) => void): Printer {
  const waiting: (readonly string[])[] = [columns.map((name) => printable(name, MAX_CELL))];
  let widths: number[] | null = null;
  const flush = (): void => {
    if (widths !== null) return;
    widths = columns.map((_, i) => Math.max(...waiting.map((row) => row[i].length)));
    waiting.forEach((row, i) => {
      write(tableLine(row, widths!));
      if (i === 0) write(widths!.map((width) => "-".repeat(width)).join("  "));
    });
    waiting.length = 0;
  };
  return {
    row(cells) {
      const row = cells.map(tableOf);
      if (widths !== null) write(tableLine(row, widths));
      else if (waiting.push(row) > TABLE_ROWS) flush();
    },
    end: flush,
  };
}

function tableLine(cells: readonly string[], widths: readonly number[]): string {
  return cells.map((cell, i) => cell.padEnd(widths[i])).join("  ").trimEnd();
}

function tableOf(cell: Cell): string {
  if (cell === null) return "";
  if (cell instanceof Uint8Array) return Buffer.from(cell).toString("hex").slice(0, MAX_CELL);
  return printable(String(cell), MAX_CELL);
}

function csvOf(cell: Cell): string {
  if (cell === null) return "";
  const text = cell instanceof Uint8Array ? Buffer.from(cell).toString("hex") : String(cell);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function jsonOf(cell: Cell): string {
  if (cell instanceof Uint8Array) return JSON.stringify(Buffer.from(cell).toString("hex"));
  // All its digits, which is what JSON allows and JavaScript's numbers don't have.
  if (typeof cell === "bigint") return String(cell);
  if (typeof cell === "number" && !Number.isFinite(cell)) return JSON.stringify(String(cell));
  return JSON.stringify(cell);
}
