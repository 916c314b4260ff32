/**
 * Stores spans until it is killed: `writing.ts PATH`. After each transaction a line with the number of
 * spans that are committed. Request i has the spans 20 i + 1 to 20 i + 20, each a trace of its own, and
 * one log record.
 *
 * @module
 */
import { writeSync } from "node:fs";
import process from "node:process";
import { openStore } from "../store.ts";
import { logs, span, T0, traces } from "./requests.ts";

const store = openStore({
  path: process.argv[2],
  maxBytes: 2 ** 30,
  maxAgeMs: 1e12,
  // Windows are written again and again, so that the kill hits that as well.
  windowBytes: 20_000,
});
for (let request = 0;; request++) {
  const numbers = Array.from({ length: 20 }, (_, i) => request * 20 + i + 1);
  const spans = numbers.map((number) =>
    span(number, number, { values: { number: { intValue: String(number) } } })
  );
  const record = {
    timeUnixNano: T0 + BigInt(request),
    body: { value: { case: "stringValue" as const, value: `request ${request}` } },
  };
  store.ingest([traces("writer", spans), logs("writer", [record])]);
  writeSync(1, `${numbers.at(-1)}\n`);
}
