/**
 * The rows of a statement, one at a time, however many they are.
 *
 * @module
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Cell } from "./print.ts";

/** What a statement answers. */
export interface Answer {
  /** Names of the columns. */
  readonly columns: readonly string[];
  /**
   * Calls `found` with each row, none of which is kept. What that throws ends it.
   *
   * @throws Error of SQLite, also after some rows.
   */
  forEach(found: (row: readonly Cell[]) => void): void;
}

/** SQLite takes no more arguments of a function than these. */
const MAX_COLUMNS = 100;

/** Whether there is anything in a text beside comments, white space and semicolons. */
export function hasStatement(text: string): boolean {
  return text.replace(/--.*|\/\*[^]*?\*\/|[\s;]/g, "") !== "";
}

/**
 * Asks the one statement in a text.
 *
 * Not by an iterator: that of Deno's `node:sqlite` ends at an error as if that were all. The rows go to
 * an aggregate instead, whose statement fails where the answer does.
 *
 * @throws Error of SQLite, and when there is more than one statement.
 */
export function askSql(db: DatabaseSync, text: string): Answer {
  const plain = db.prepare(text);
  // SQLite reads to the end of the first, and says nothing of what follows.
  const first = plain.sourceSQL;
  if (hasStatement(text.slice(first.length))) {
    throw new Error("it is more than one: ask one at a time");
  }
  plain.setReadBigInts(true);
  const columns = plain.columns().map(({ name }) => name ?? "");
  return {
    columns,
    forEach(found) {
      let failure: unknown;
      db.aggregate("answer_row", {
        start: 0,
        varargs: true,
        useBigIntArguments: true,
        step(count, ...cells) {
          try {
            found(cells as Cell[]);
          } catch (error) {
            failure = error;
            throw error;
          }
          return count;
        },
      });
      const inside = wrap(db, first, columns.length);
      try {
        if (inside !== null) inside.get();
        else {
          const rows = plain.all() as Record<string, Cell>[];
          for (const row of rows) found(columns.map((name) => row[name]));
        }
      } catch (error) {
        throw failure ?? error;
      }
    },
  };
}

/** The statement inside another one; null for what can't be there: EXPLAIN and PRAGMA, which are short. */
function wrap(db: DatabaseSync, text: string, columns: number): StatementSync | null {
  if (columns === 0 || columns > MAX_COLUMNS) return null;
  const list = Array.from({ length: columns }, (_, i) => `c${i}`).join(", ");
  const inner = text.trim().replace(/;$/, "");
  try {
    return db.prepare(
      `WITH answer(${list}) AS (${inner}\n) SELECT answer_row(${list}) FROM answer`,
    );
  } catch {
    return null;
  }
}
