/**
 * Opens files until it may open no more, asks twice for a request of traces, closes them and takes all,
 * and prints what came of it: `descriptors.ts FOLDER`.
 *
 * @module
 */
import { closeSync, openSync } from "node:fs";
import process from "node:process";
import { openSpool } from "../mod.ts";

const spool = openSpool(process.argv[2]);
const { waiting, dropped } = spool.counts.traces;
const taken: number[] = [];
const lines: string[] = [];
try {
  for (;;) taken.push(openSync("/dev/null", "r"));
} catch {
  // That was the last.
}
for (let i = 0; i < 2; i++) {
  const stored = spool.next("traces");
  const [code] = spool.readError("traces")?.split(":") ?? [];
  lines.push(
    `${stored?.id ?? null} ${code} waiting ${waiting.requests} dropped ${dropped.corrupt.requests}`,
  );
}
taken.forEach((fd) => closeSync(fd));
let count = 0;
for (let stored = spool.next("traces"); stored !== null; stored = spool.next("traces")) {
  spool.acknowledge(stored.id);
  count++;
}
lines.push(`again ${count} dropped ${dropped.corrupt.requests}`);
console.log(lines.join("\n"));
