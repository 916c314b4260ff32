/**
 * Reads numbered spans of one producer in a process of its own and prints how many records it took.
 * Arguments: the file, which may not be there yet, and how many records.
 */
import { existsSync } from "node:fs";
import process from "node:process";
import { NumberedReader } from "../support/numbered.ts";

const [path, records] = process.argv.slice(2);
while (!existsSync(path)) await new Promise((resolve) => setTimeout(resolve, 5));
const reader = new NumberedReader(path, 1);
await reader.drainAll(Number(records));
reader.close();
console.log(reader.taken);
