/**
 * Touches files that were truncated: FILE HOW. Prints what it found as JSON.
 *
 * - `guarded`: with bus errors contained
 * - `unguarded`: a mapping that is not guarded, which ends this process
 * - `closed`: a mapping in place of a guarded one that was closed, which does too
 */
import { truncateSync } from "node:fs";
import process from "node:process";
import { busErrors, containBusErrors, Mapping } from "../mod.ts";

const [file, how] = process.argv.slice(2);
const contained = containBusErrors();
const again = containBusErrors();
const mapping = Mapping.open(file, { guarded: how !== "unguarded" });
const other = Mapping.open(file, { guarded: true });
const { size } = mapping;
if (how === "closed") other.close();
truncateSync(file, 0);
if (how === "closed") {
  mapping.close();
  const next = Mapping.open(file, { reserve: size });
  next.u8[0] = 1;
}
const found = {
  contained,
  again,
  read: mapping.u8[size - 1],
  faults: mapping.faults,
  swapped: Number(Atomics.compareExchange(mapping.i64, 1, 0n, 7n)),
  stored: Number(mapping.i64[1]),
  after: mapping.faults,
  grown: 0,
  fresh: 0,
  others: other.faults,
  all: busErrors(),
};
truncateSync(file, size);
// What was replaced stays as it is; what was not touched is the file's again.
found.grown = Number(mapping.i64[1]);
other.u8[size / 2] = 5;
found.fresh = mapping.u8[size / 2];
console.log(JSON.stringify(found));
mapping.close();
other.close();
