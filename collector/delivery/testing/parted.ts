/**
 * Stores a request of which a part is given up, and the rest delivered: `parted.ts FOLDER`. Prints which files
 * were synced, and where what was acknowledged, from then on.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import process from "node:process";
import { openSpool } from "../../../lib/spool/mod.ts";
import { calls } from "../../../lib/spool/testing/calls.ts";
import type { Outcome } from "../../send/send.ts";
import { createSpooling } from "../spool.ts";

const [folder] = process.argv.slice(2);
const log = (): void => {};
const left = [{ body: Buffer.from("b"), items: 1 }];
const parted: Outcome = { accepted: 1, rejected: 0, dropped: 1, gaveUp: true, left };
let answer = (_: Outcome): void => {};

const spool = openSpool(folder);
const { send } = createSpooling(spool, { isPatient: false, log }).add("traces", {
  send: () => new Promise((resolve) => answer = resolve),
  abort: log,
  close: () => Promise.resolve(),
});
await send(Buffer.from("ab"), 2);
spool.sync();
calls.length = 0;
answer(parted);
while (spool.counts.traces.acknowledged.requests === 0) {
  await new Promise((resolve) => setTimeout(resolve, 1));
}
const done = calls.filter((call) => /^(sync|acknowledge) .*tmp$/.test(call));
console.log(done.join("\n").replaceAll(folder, "").replace(/\d{12}-\S+\./g, ""));
process.exit();
