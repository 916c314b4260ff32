/**
 * A program that prints all kinds of things, with or without a captured console:
 * `printing.ts FILE with|without`.
 */
import process from "node:process";
import { ROOT_CONTEXT } from "@opentelemetry/api";
import { DEFAULT_LOG_LIMITS } from "../../sdk/limits.ts";
import { LoggerProvider } from "../../sdk/logger-provider.ts";
import { record } from "../../../tests/support/recording.ts";
import { captureConsole } from "../console.ts";

const [file, capture] = process.argv.slice(2);
const { recorder } = record({ file });
const logger = new LoggerProvider({
  recorder,
  limits: DEFAULT_LOG_LIMITS,
  activeContext: () => ROOT_CONTEXT,
}).getLogger("console");
if (capture === "with") captureConsole({ logger });

class OwnError extends Error {
  override name = "OwnError";
}
const circle: Record<string, unknown> = { list: [1, "two", { three: [4n] }], when: new Date(0) };
circle.self = circle;
const error = new OwnError("broken", { cause: new TypeError("the cause") });

console.debug("%s is %d%%", "it", 50, "and more");
console.log(circle, new Map([["a", new Set([1])]]));
console.info();
console.warn("%o %j %i %c styled", { a: 1 }, { b: 2 }, 3.7, "color: red");
console.error("failed:", error, new Error("another"));
console.assert(1 < 2, "not shown");
console.assert(1 > 2, "shown %d", 1);
console.assert(1 > 2);
console.dir({ a: { b: { c: {} } } });
console.table([{ a: 1 }]);
console.group("group");
console.log("inside\nof it");
console.groupEnd();
console.count("counted");
// The same error once more, by the runtime: reading it must not have changed it.
setTimeout(() => {
  throw error;
});
