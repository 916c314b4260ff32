/**
 * `sql`: questions to the store of a collector, while it writes or afterwards.
 *
 * @module
 */
import { InvalidArgumentError } from "commander";
import { writeSync } from "node:fs";
import { ArgumentsExit, filePath } from "../options/arguments.ts";
import { log } from "../text/log.ts";
import type { AddCommand } from "../program.ts";
import { defaultStorePath } from "../store/settings.ts";
import { createPrinter, type Format } from "../store/sql/print.ts";
import { askSql, hasStatement } from "../store/sql/rows.ts";
import { openForSql, VIEWS } from "../store/sql/views.ts";

interface Flags {
  store?: string;
  csv?: boolean;
  json?: boolean;
}

const views = Object.entries(VIEWS).map(([name, { columns }]) => {
  const lines = Object.entries(columns).map(([column, what]) =>
    `    ${column.padEnd(15)}${what}`.trimEnd()
  );
  return `  ${name}\n${lines.join("\n")}`;
}).join("\n\n");

const helpText = `
Nothing can be changed: the database is opened for reading, beside the collector that writes it. One
statement in the language of SQLite, with its functions for JSON, over these views:

${views}

A whole view is read from its beginning to its end: name what you want of it, with LIMIT, or with
"id > (SELECT max(id) FROM spans) - 100000" for what came last. Rows are printed as they are found, with
none of them kept; the columns of a table are as wide as its first 1,000 rows need.

Examples:
  otlp-mmap sql "SELECT start, service, name, duration_ms FROM spans ORDER BY id DESC LIMIT 10"
  otlp-mmap sql "SELECT service, name, count(*), avg(duration_ms) FROM spans GROUP BY 1, 2"
  otlp-mmap sql "SELECT attributes ->> 'http.route' AS route, count(*) FROM spans GROUP BY 1"
  otlp-mmap sql "SELECT time, body FROM logs WHERE id IN (SELECT rowid FROM logs_text('timeout'))"
  otlp-mmap sql --csv "SELECT time, value FROM metrics WHERE name = 'queue.length'" > queue.csv
  otlp-mmap sql --json "SELECT * FROM loss"

Exit codes:
  0  the answer was printed
  1  the statement is wrong, would change something, or failed after some rows were printed
  2  a bad argument, or a store that can't be read
`;

/** The command. */
export const sql: AddCommand = (program, env, choose) => {
  program.command("sql")
    .description("ask the store of a collector, in SQL")
    .argument("<statement>", "one SELECT", statementIn)
    .option("--store <file>", "the database (default: as collect --store)", filePath)
    .option("--csv", "comma-separated values")
    .option("--json", "a list of objects")
    .addHelpText("after", helpText)
    .action((statement: string, { store, csv, json }: Flags) => {
      if (csv && json) throw new ArgumentsExit(2, "--csv and --json exclude each other");
      const format = csv ? "csv" : json ? "json" : "table";
      choose(() => Promise.resolve(run(store ?? defaultStorePath(env), statement, format)));
    });
};

/** SQLite has no words for one that is missing. */
function statementIn(text: string): string {
  if (hasStatement(text)) return text;
  throw new InvalidArgumentError("There is no statement in it.");
}

function run(path: string, statement: string, format: Format): number {
  let db: ReturnType<typeof openForSql>;
  try {
    db = openForSql(path);
  } catch (error) {
    log("error", (error as Error).message);
    return 2;
  }
  try {
    const answer = askSql(db, statement);
    const printer = createPrinter(answer.columns, format, print);
    answer.forEach(printer.row);
    printer.end();
    return 0;
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    // Whoever reads our lines has had enough of them.
    if (code === "EPIPE") return 0;
    log("error", `the statement can't be answered: ${message}`);
    return 1;
  } finally {
    db.close();
  }
}

/** As many lines as there are: nothing is kept, whatever the size of the answer. */
function print(line: string): void {
  const bytes = new TextEncoder().encode(`${line}\n`);
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(1, bytes, at);
    } catch (error) {
      // A pipe whose reader is slower.
      if ((error as { code?: string }).code !== "EAGAIN") throw error;
    }
  }
}
