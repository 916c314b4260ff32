/** A Worker's own errno, clock and mapping. */
import { parentPort, workerData } from "node:worker_threads";
import { clockWords, Mapping, now, SystemError } from "../mod.ts";

let code = "none";
try {
  Mapping.open("/nonexistent/by/worker");
} catch (error) {
  if (error instanceof SystemError) code = error.code;
}
now();
const mapping = Mapping.open(workerData as string);
Atomics.add(mapping.i32, 0, 1);
mapping.close();
parentPort?.postMessage({ code, seconds: clockWords[0] });
