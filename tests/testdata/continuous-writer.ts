/** Makes calls without a pause until it is killed: DIRECTORY JOURNAL NAME CALLS. */
import process from "node:process";
import { AlwaysOnSampler } from "../../lib/sdk/sampler.ts";
import { start } from "../../lib/sdk/start.ts";
import { makeCalls, NumberedIds } from "../support/calls.ts";
import { Journal } from "../support/journal.ts";

const [directory, journalPath, name, calls] = process.argv.slice(2);
const ids = new NumberedIds();
const sdk = start({
  env: {},
  directory,
  resource: { writer: name },
  idGenerator: ids,
  sampler: new AlwaysOnSampler(),
  // Nothing is read while it writes, so there must be room for all.
  sizes: { spans: { slots: 16_384, slotBytes: 2048 }, events: { slots: 8192, slotBytes: 1024 } },
});
if (!sdk.recording) throw new Error(sdk.reason);
const journal = Journal.open(journalPath);
makeCalls(sdk.tracerProvider!.getTracer("writer"), ids, Number(calls), journal);
// It lives on until it is killed.
setInterval(() => {}, 1000);
