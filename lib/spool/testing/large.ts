/**
 * Stores a small request, one of 140 MB and a small one, then 150 MB in requests of 1 MB, and prints
 * what became of them: `large.ts FOLDER`.
 *
 * @module
 */
import process from "node:process";
import { openSpool } from "../mod.ts";

const spool = openSpool(process.argv[2], { maxBytes: 1e9, segmentBytes: 1e9, sync: "none" });
const results = [10, 140_000_000, 10].map((size) => {
  const placed = spool.put("traces", new Uint8Array(size), 1);
  return "refused" in placed ? placed.refused : "stored";
});
const million = new Uint8Array(1_000_000);
for (let i = 0; i < 150; i++) spool.put("logs", million, 1);
console.log(...results, spool.counts.logs.stored.requests);
