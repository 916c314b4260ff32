/**
 * A Worker that joins a file and, once all others have, sets attributes with ever new keys until the
 * dictionary is full.
 */
import { workerData } from "node:worker_threads";
import { Writer } from "../../lib/writer.ts";

const { path, name, dictionaryBytes, joined, workers } = workerData as {
  path: string;
  name: string;
  dictionaryBytes: number;
  /** One shared word: how many have joined. */
  joined: Int32Array;
  workers: number;
};
const writer = Writer.join(path, { dictionaryBytes });
const span = writer.scope({ name }).startSpan(name);
Atomics.add(joined, 0, 1);
Atomics.notify(joined, 0);
for (let seen; (seen = Atomics.load(joined, 0)) < workers;) Atomics.wait(joined, 0, seen);
let result = span.started;
for (let i = 0; result === "written"; i++) {
  const key = `${name}.${i}.${"k".repeat(i % 100)}`;
  result = span.setAttributes({ [key]: key });
}
if (result !== "dictionary_full") throw new Error(`${name}: ${result}`);
writer.close();
