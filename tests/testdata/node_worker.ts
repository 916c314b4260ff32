/** A Worker of Node's kind. */
import { parentPort, workerData } from "node:worker_threads";
import type { Place } from "../../lib/file/place.ts";
import { recordOne } from "./record_one.ts";

// Until it is terminated.
parentPort!.on("message", () => {});
parentPort!.postMessage(recordOne(workerData as Place));
