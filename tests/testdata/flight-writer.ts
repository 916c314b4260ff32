/**
 * Writes numbered log records with checksums and discards the oldest: PATH COUNT RING_SLOTS [blind]. With a
 * COUNT it writes so many, then spans (below), and is killed; with 0 it writes until it reads a line,
 * then says how many and closes its file. `blind` takes every reader for gone.
 */
import { once } from "node:events";
import process from "node:process";
import { AlwaysOnSampler } from "../../lib/sdk/sampler.ts";
import type { Recorder } from "../../lib/sdk/recorder.ts";
import { start } from "../../lib/sdk/start.ts";
import { bodyOf } from "../support/flight.ts";
import { killSelf } from "../support/stores.ts";

const [path, countText, slotsText, blind] = process.argv.slice(2);
const count = Number(countText);
const slots = Number(slotsText);
const sdk = start({
  env: {},
  file: path,
  overflow: "oldest",
  resource: { "service.name": "flight" },
  sampler: new AlwaysOnSampler(),
  sizes: { events: { slots, slotBytes: 512 }, spans: { slots: 16, slotBytes: 512 } },
});
if (!sdk.recording) throw new Error(sdk.reason);
if (blind !== undefined) {
  const { settings } = sdk.tracerProvider as unknown as { settings: { recorder: Recorder } };
  settings.recorder.file!.events.attached = () => false;
}
const logger = sdk.loggerProvider!.getLogger("flight");
const emit = (number: number): void => logger.emit({ body: bodyOf(number), severityNumber: 9 });

if (count > 0) {
  const tracer = sdk.tracerProvider!.getTracer("flight");
  // Its start is among the oldest, its end among the newest: 15 records stay.
  const long = tracer.startSpan("long");
  const dangling = tracer.startSpan("dangling");
  for (let i = 0; i < 100; i++) tracer.startSpan(`short ${i}`).end();
  dangling.setAttribute("step", "last");
  long.addEvent("near the end");
  long.setAttribute("answer", 42);
  long.end();
  for (let i = 0; i < count; i++) emit(i);
  killSelf();
}
let number = 0;
const stop = once(process.stdin, "data");
let isStopped = false;
void stop.then(() => isStopped = true);
console.log("ready");
while (!isStopped) {
  for (let i = 0; i < 500; i++) emit(number++);
  await new Promise((resolve) => setImmediate(resolve));
}
console.log(number);
await sdk.shutdown();
process.exit(0);
