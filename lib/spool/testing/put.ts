/**
 * Stores requests and says after each that it is stored, `put.ts FOLDER FROM COUNT`; after every third
 * it takes the oldest, acknowledges it and says so.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { writeSync } from "node:fs";
import process from "node:process";
import { openSpool } from "../mod.ts";

const [folder, from, count] = process.argv.slice(2);
const spool = openSpool(folder, { segmentBytes: 10_000, sync: "none" });
for (let i = Number(from); i < Number(from) + Number(count); i++) {
  const body = Buffer.from(`${i} `.repeat(1 + i % 100));
  const placed = spool.put("traces", body, 1, { mark: Buffer.from(String(i)) });
  if ("refused" in placed) throw new Error(placed.refused);
  writeSync(1, `+${i}\n`);
  if (i % 3 !== 0) continue;
  const stored = spool.next("traces")!;
  const number = parseInt(Buffer.from(stored.body).toString());
  spool.acknowledge(stored.id);
  writeSync(1, `-${number}\n`);
}
