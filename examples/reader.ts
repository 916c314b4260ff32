/**
 * Follows a file without the collector, and prints its records until its owner is gone:
 *
 *     deno run -A examples/reader.ts [FILE]
 *     bun examples/reader.ts [FILE]
 *
 * examples/writer.ts makes one.
 *
 * @module
 */
import process from "node:process";
import { Reader, type ReadRecord } from "../lib/reader.ts";

/** One line about a record. */
function describe(record: ReadRecord): string {
  if ("unreadable" in record) return `unreadable: ${record.unreadable}`;
  if (record.ring === "measurements") return `${record.metric} ${record.value}`;
  if (record.ring === "events") return `span ${record.spanId}: event ${record.name}`;
  const { change, spanId } = record;
  const what = change.what === "start" || change.what === "name"
    ? `${change.what} "${change.name}"`
    : change.what;
  return `span ${spanId}: ${what}`;
}

const reader = Reader.open(process.argv[2] ?? "example.otlp");
for (;;) {
  // Asked first: what a dead owner has written is all there, and the next poll gets it.
  const owner = reader.owner();
  const records = reader.poll();
  for (const record of records) console.log(describe(record));
  // Only now may the writer use these slots again.
  reader.release();
  if (records.length > 0) continue;
  if (owner !== "writing") break;
  await new Promise((resolve) => setTimeout(resolve, 100));
}
reader.close();
