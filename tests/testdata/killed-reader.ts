/**
 * Reads a file and is killed after one of its steps: PATH STEP. Prints the place of each record it has
 * taken before it gives any back. With step 0 nothing happens, and it prints the names of all steps.
 */
import { writeSync } from "node:fs";
import process from "node:process";
import { Reader } from "../../lib/reader.ts";
import { killSelf, watch } from "../support/stores.ts";

const [path, step] = process.argv.slice(2);
const names: string[] = [];
const last = Number(step);
watch((name) => {
  if (names.push(name) === last) killSelf();
});
const reader = Reader.open(path);
if (reader.owner() !== "dead") throw new Error("its owner lives");
const places = reader.poll().map(({ ring, sequence }) => `${ring} ${sequence}`);
// Not console.log, which may still be on its way when the process is killed.
writeSync(1, JSON.stringify(places) + "\n");
reader.release();
reader.close();
watch(null);
writeSync(1, JSON.stringify(names) + "\n");
process.exit(last === 0 ? 0 : 1);
