/**
 * A Worker that gets stuck inside a write, right after one of its steps, and says so in `stuck`:
 * { path, producers, step, stuck }.
 */
import { workerData } from "node:worker_threads";
import { Writer } from "../../lib/writer.ts";
import { watch } from "../support/stores.ts";

const { path, producers, step, stuck } = workerData as {
  path: string;
  producers: "one" | "many";
  step: string;
  stuck: Int32Array;
};
watch(null);
const writer = Writer.create(path, { producers });
const scope = writer.scope({ name: "stuck" });
scope.startSpan("whole").end();
const span = scope.startSpan("last");
span.addEvent("before");
watch((name) => {
  if (name !== step) return;
  watch(null);
  stuck[0] = 1;
  for (;;);
});
span.end();
