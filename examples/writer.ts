/**
 * Writes a trace without the SDK, straight into a file:
 *
 *     deno run -A examples/writer.ts [FILE]
 *     bun examples/writer.ts [FILE]
 *
 * Then look at it with examples/reader.ts, or `deno task collect --once FILE`.
 *
 * @module
 */
import process from "node:process";
import { Writer } from "../lib/writer.ts";

const writer = Writer.create(process.argv[2] ?? "example.otlp", {
  resource: { "service.name": "bakery", "service.version": "1.0.0" },
});
const ovens = writer.scope({ name: "ovens" });

const bread = ovens.startSpan("bake bread", { kind: "server", attributes: { loaves: 12 } });
const heating = ovens.startSpan("heat oven", { parent: bread });
heating.addEvent("hot", { attributes: { "oven.celsius": 230 } });
heating.end();
bread.setAttributes({ crust: ["thick", "dark"] });
const result = bread.end({ status: { code: "error", message: "one loaf fell down" } });

const { spans, events } = writer.counters();
console.log(`end: ${result}; ${spans.written} span records and ${events.written} event written`);
console.log(writer.path);
writer.close();
