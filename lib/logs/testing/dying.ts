/**
 * A program that dies in the way it is told, with or without captured exceptions:
 * `dying.ts FILE with|without HOW LISTENERS`.
 */
import process from "node:process";
import { ROOT_CONTEXT } from "@opentelemetry/api";
import { DEFAULT_LOG_LIMITS } from "../../sdk/limits.ts";
import { LoggerProvider } from "../../sdk/logger-provider.ts";
import { record } from "../../../tests/support/recording.ts";
import { captureExceptions } from "../exceptions.ts";

const [file, capture, how, listeners] = process.argv.slice(2);
const { recorder } = record({ file });
const provider = new LoggerProvider({
  recorder,
  limits: DEFAULT_LOG_LIMITS,
  activeContext: () => ROOT_CONTEXT,
});
if (capture === "with") captureExceptions({ logger: provider.getLogger("exceptions") });
if (capture === "undone") captureExceptions({ logger: provider.getLogger("exceptions") })();

const say = (text: string) => () => void process.stdout.write(`${text}\n`);
if (listeners === "rejection") process.on("unhandledRejection", say("rejection"));
if (listeners === "once") process.once("unhandledRejection", say("rejection"));
if (listeners === "exception") process.on("uncaughtException", say("exception"));
process.on("exit", (code) => void process.stdout.write(`exit ${code}\n`));

class OwnError extends Error {
  override name = "OwnError";
}

const endings: Record<string, () => unknown> = {
  throw() {
    throw new OwnError("thrown");
  },
  later: () =>
    setTimeout(() => {
      throw new TypeError("thrown later");
    }, 5),
  tick: () =>
    process.nextTick(() => {
      throw new OwnError("thrown in a tick");
    }),
  reject: () => void Promise.reject(new OwnError("rejected")),
  async: () =>
    setTimeout(async () => {
      await 1;
      throw new OwnError("rejected later");
    }, 5),
  two() {
    void Promise.reject(new OwnError("first"));
    void Promise.reject(new OwnError("second"));
  },
  text: () => void Promise.reject("only text"),
  nothing: () => void Promise.reject(undefined),
  object: () => void Promise.reject({ code: 7, nested: [1] }),
  taken: () => void Promise.reject(new OwnError("taken")).catch(() => {}),
  exit: () => process.exit(3),
};
// Where it does not die. Late: Bun dies of a captured rejection a turn later, timers that are due run.
setTimeout(say("alive"), 600);
await endings[how]();
