/**
 * Stands in for `node:test` while tools/test.ts runs a file, and writes one line of JSON per thing
 * that happened to the file named by OTLP_MMAP_TEST_LOG. The reporters can't be trusted with it:
 * Deno's forgets throws outside a test and calls a process that exits in the middle a success,
 * Bun's calls tests passed whose `before` failed, and neither says why something was skipped.
 *
 * @module
 */
import { appendFileSync } from "node:fs";
import process from "node:process";
import type * as NodeTest from "node:test";

/** What the log holds. A `test` without a `pass` or `fail` of the same id never came to its end. */
export type Entry =
  | { event: "test" | "pass"; id: number; name: string }
  | { event: "fail"; id: number; name: string; message: string }
  | { event: "skip"; name: string; reason: string }
  | { event: "error"; message: string };

/** A test without a timeout of its own is stopped after this long, in ms, on both runtimes. */
export const DEFAULT_TIMEOUT = 60_000;

type Body = (...args: unknown[]) => unknown;
type Options = { skip?: boolean | string; todo?: boolean | string; timeout?: number };
type Register = (name: string, options: Options, body: Body) => unknown;

const path = process.env.OTLP_MMAP_TEST_LOG;
const suites: string[] = [];
let nextId = 0;

/** Adds one line to the log, at once: the process may be gone the next moment. */
export function log(entry: Entry): void {
  if (path) appendFileSync(path, JSON.stringify(entry) + "\n");
}

/** One line that says what was thrown, and what caused that. */
export function messageOf(thrown: unknown): string {
  const text = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
  const line = text.split("\n").filter(Boolean).slice(0, 4).join(" | ");
  const cause = thrown instanceof Error ? thrown.cause : undefined;
  return cause === undefined ? line : `${line}; because of ${messageOf(cause)}`;
}

function full(name: string): string {
  return [...suites, name].join(" > ");
}

function parse(args: unknown[]): { name: string; options: Options; body: Body | undefined } {
  const body = args.find((arg) => typeof arg === "function") as Body | undefined;
  const options = args.find((arg) => typeof arg === "object" && arg !== null) as
    | Options
    | undefined;
  const name = typeof args[0] === "string" ? args[0] : body?.name || "<anonymous>";
  return { name, options: { ...options }, body };
}

/** Why this is not run, or undefined when it is. */
function skipReason(options: Options): string | undefined {
  if (options.skip) return options.skip === true ? "no reason given" : options.skip;
  if (options.todo) return options.todo === true ? "to do" : options.todo;
  return undefined;
}

/** `true` from the caller's `.skip`, unless the options carry a reason already. */
function withSkip(register: (...args: unknown[]) => unknown) {
  return Object.assign(register, {
    skip: (...args: unknown[]) => {
      const { name, options, body } = parse(args);
      return register(name, { ...options, skip: options.skip || true }, body ?? (() => {}));
    },
  });
}

function recordedTest(real: Register) {
  return withSkip((...args) => {
    const { name, options, body } = parse(args);
    const reason = skipReason(options);
    if (reason !== undefined) {
      log({ event: "skip", name: full(name), reason });
      return real(name, { skip: true }, () => {});
    }
    const id = nextId++;
    const path = full(name);
    log({ event: "test", id, name: path });
    return real(name, { timeout: DEFAULT_TIMEOUT, ...options }, async (context) => {
      try {
        if (!body) throw new Error("a test without a body");
        if (body.length > 1) throw new Error("tests with a callback are not supported, use async");
        await body(refusingSkip(context));
        log({ event: "pass", id, name: path });
      } catch (error) {
        log({ event: "fail", id, name: path, message: messageOf(error) });
        throw error;
      }
    });
  });
}

/** Deno counts a test that skips itself as passed, so skipping is left to registration. */
function refusingSkip(context: unknown): unknown {
  const refuse = () => {
    throw new Error("skip with the option of `it`, not in its body");
  };
  return Object.assign(context as object, { skip: refuse, todo: refuse });
}

function recordedSuite(real: Register) {
  return withSkip((...args) => {
    const { name, options, body } = parse(args);
    const reason = skipReason(options);
    if (reason !== undefined) {
      // Not looked into: Bun would, Deno would not.
      log({ event: "skip", name: full(name), reason });
      return real(name, { skip: true }, () => {});
    }
    return real(name, options, (context) => {
      suites.push(name);
      try {
        return body?.(context);
      } finally {
        suites.pop();
      }
    });
  });
}

/** What `before`, `after` and their kind throw is told by name: the runtimes end with a code only. */
function recordedHook<Hook>(name: string, real: Hook): Hook {
  return ((body: Body, options: unknown) => {
    const path = full(name);
    const recording: Body = async (...args) => {
      try {
        await body(...args);
      } catch (error) {
        log({ event: "error", message: `${path}: ${messageOf(error)}` });
        throw error;
      }
    };
    return (real as Body)(recording, options);
  }) as Hook;
}

/** The parts of `node:test` that the suite uses, recorded. */
export type Recorded = Pick<
  typeof NodeTest,
  "after" | "afterEach" | "before" | "beforeEach" | "describe" | "it" | "mock" | "suite" | "test"
>;

/** Wraps the runtime's `node:test`. There is no `only`: a test run alone hides the others. */
export function recorded(real: typeof NodeTest): Recorded {
  const after = recordedHook("after", real.after);
  const afterEach = recordedHook("afterEach", real.afterEach);
  const before = recordedHook("before", real.before);
  const beforeEach = recordedHook("beforeEach", real.beforeEach);
  const it = recordedTest(real.it as Register) as unknown as typeof real.it;
  const describe = recordedSuite(real.describe as Register) as unknown as typeof real.describe;
  return {
    after,
    afterEach,
    before,
    beforeEach,
    mock: real.mock,
    it,
    test: it,
    describe,
    suite: describe,
  };
}
