/**
 * A program that records only log records or only measurements: DIRECTORY NAME `logs` | `metrics`. Told
 * to exit, it does so with the code it is told.
 */
import process from "node:process";
import { metrics } from "@opentelemetry/api";
import { logs } from "@opentelemetry/api-logs";
import { start } from "../../lib/sdk/start.ts";
import { answerCommands } from "../support/programs.ts";

const [directory, name, what] = process.argv.slice(2);
const sdk = start({ env: {}, directory, resource: { "service.name": name } });
if (!sdk.recording) throw new Error(sdk.reason);
if (what === "logs") logs.getLogger("last").emit({ body: "the last words" });
else metrics.getMeter("last").createCounter("breaths").add(7);

await answerCommands(({ exit }) => process.exit(Number(exit)));
