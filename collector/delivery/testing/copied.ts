/**
 * Stores a request for two endpoints that are away: `copied.ts FOLDER SYNCS`. Prints which files were synced, and
 * where what was acknowledged.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import process from "node:process";
import { openSpool } from "../../../lib/spool/mod.ts";
import { calls } from "../../../lib/spool/testing/calls.ts";
import type { Sink } from "../../pipeline/queue.ts";
import { createFanOut } from "../fan-out.ts";
import { createLanes } from "../lanes.ts";
import { placeOfEndpoint } from "../spool-place.ts";
import { createSpooling } from "../spool.ts";

const [folder, syncs] = process.argv.slice(2);
const log = (): void => {};
const options = { isPatient: false, log };
const away = (): Sink => ({
  endpoints: [{ name: "away" }],
  send: () => new Promise(() => {}),
  abort: log,
  close: () => Promise.resolve(),
});

const spool = openSpool(folder);
const lanes = createLanes({ spool, maxAgeMs: 1e6, syncs: () => syncs === "syncs", ...options });
const sinks = ["http://a", "http://b"].map((url) =>
  lanes.attach(placeOfEndpoint("traces", url), { traces: away() }).traces!
);
const copies = createFanOut("traces", sinks, { mayDrop: true, log });
const { send } = createSpooling(spool, options).add("traces", copies);
calls.length = 0;
await send(Buffer.from("a"), 1);
while (spool.counts.traces.acknowledged.requests === 0) {
  await new Promise((resolve) => setTimeout(resolve, 1));
}
const done = calls.filter((call) => /^(sync|acknowledge) .*tmp$/.test(call));
console.log(done.join("\n").replaceAll(folder, "").replace(/[0-9a-f]{12}\/|\d{12}-\S+\./g, ""));
process.exit();
