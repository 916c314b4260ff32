/** Makes the calls of a model test and is killed: DIRECTORY SLOTS CALLS, the latter as JSON. */
import process from "node:process";
import { NUMBERS_PER_CALL } from "../support/model/model.ts";
import { startApplication } from "../support/model/application.ts";
import type { Call } from "../support/model/operations.ts";

const [directory, slots, calls, first] = process.argv.slice(2);
const application = startApplication(directory, JSON.parse(slots));
(JSON.parse(calls) as Call[]).forEach((call, i) =>
  application.call(call, Number(first) + i * NUMBERS_PER_CALL)
);
process.kill(process.pid, "SIGKILL");
