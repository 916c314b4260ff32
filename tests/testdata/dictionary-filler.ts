/** A Worker that joins a file and sets attributes with ever new keys until the dictionary is full. */
import { workerData } from "node:worker_threads";
import { Writer } from "../../lib/writer.ts";

const { path, name, dictionaryBytes } = workerData as {
  path: string;
  name: string;
  dictionaryBytes: number;
};
const writer = Writer.join(path, { dictionaryBytes });
const span = writer.scope({ name }).startSpan(name);
let result = span.started;
for (let i = 0; result === "written"; i++) {
  const key = `${name}.${i}.${"k".repeat(i % 100)}`;
  result = span.setAttributes({ [key]: key });
}
if (result !== "dictionary_full") throw new Error(`${name}: ${result}`);
writer.close();
