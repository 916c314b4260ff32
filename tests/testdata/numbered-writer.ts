/**
 * Writes numbered spans, as a Worker or as a process of its own. Arguments: the file, how many
 * spans, the producer's number, and `create` or `join`.
 */
import process from "node:process";
import { workerData } from "node:worker_threads";
import { Writer } from "../../lib/writer.ts";
import { writeAllNumbered } from "../support/numbered.ts";

const args: string[] = workerData?.numbered ?? process.argv.slice(2);
const [path, spans, producer, how] = args;
const sizes = { spans: { slots: 1024, slotBytes: 768 } };
const writer = how === "create" ? Writer.create(path, sizes) : Writer.join(path);
await writeAllNumbered(writer.scope({ name: "numbered" }), Number(producer), Number(spans));
writer.close();
