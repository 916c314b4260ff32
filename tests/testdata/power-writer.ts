/** Makes a span every few milliseconds, named by their numbers, with durability "power": DIRECTORY. */
import process from "node:process";
import { AlwaysOnSampler } from "../../lib/sdk/sampler.ts";
import { start } from "../../lib/sdk/start.ts";

const sdk = start({
  env: {},
  directory: process.argv[2],
  durability: "power",
  resourceDetectors: [],
  sampler: new AlwaysOnSampler(),
});
if (!sdk.recording) throw new Error(sdk.reason);
const tracer = sdk.tracerProvider!.getTracer("writer");
let number = 0;
// Two records each: a start and an end.
setInterval(() => {
  for (let i = 0; i < 5; i++) tracer.startSpan(`${number++}`).end();
}, 5);
console.log(sdk.path);
