/**
 * `console` as log records, beside what it prints.
 *
 * Uses the OpenTelemetry API alone, so it works with any SDK.
 *
 * @module
 */
import { format } from "node:util";
import { diag, type Logger, type LogRecord, SeverityNumber } from "@opentelemetry/api";
import { isError, readError } from "./errors.ts";
import { asText, loggerOf } from "./given.ts";

/** Methods of `console` that can be captured. */
export type ConsoleMethod = "trace" | "debug" | "log" | "info" | "warn" | "error" | "assert";

/** What is captured. */
export interface ConsoleOptions {
  /** Where the records go. Default: the global provider's logger `console`. */
  readonly logger?: Logger;
  /** Which methods. Default all of them. */
  readonly levels?: readonly ConsoleMethod[];
}

const SEVERITIES: Readonly<Record<ConsoleMethod, SeverityNumber>> = {
  trace: SeverityNumber.TRACE,
  debug: SeverityNumber.DEBUG,
  log: SeverityNumber.INFO,
  info: SeverityNumber.INFO,
  warn: SeverityNumber.WARN,
  error: SeverityNumber.ERROR,
  assert: SeverityNumber.ERROR,
};
const METHODS = Object.keys(SEVERITIES) as ConsoleMethod[];

/**
 * True while a call is captured or printed. What calls `console` meanwhile is only printed: an SDK
 * that reports its own troubles there, an argument's `inspect`, a method that is made of others.
 */
let busy = false;

/**
 * Makes a log record of every call of `console.trace`, `debug`, `log`, `info`, `warn`, `error`, and
 * of `assert` where the assertion fails. They print as before, but for one more frame in the stack
 * that `trace` shows. The record has the method's severity,
 * its name as severity text, and as body what `util.format` makes of the arguments; the first Error
 * among them becomes the record's exception, and stands in the body as `name: message`, since its
 * stack is in `exception.stacktrace`.
 *
 * Returns the undo, which leaves alone a method that somebody else has replaced since.
 *
 * @example
 * ```ts ignore
 * import { captureConsole } from "otlp-mmap";
 *
 * const undo = captureConsole({ levels: ["warn", "error"] });
 * console.warn("%d left", 3); // printed, and a log record with the body "3 left"
 * undo();
 * ```
 */
export function captureConsole(options: ConsoleOptions = {}): () => void {
  const logger = loggerOf("captureConsole", options?.logger, "console");
  const undo = levelsOf(options?.levels).map((method) => capture(method, logger));
  return () => {
    for (const restore of undo) restore();
  };
}

/** Those that can be captured; what else was given is said. */
function levelsOf(given: unknown): readonly ConsoleMethod[] {
  if (given === undefined || given === null) return METHODS;
  const names: readonly unknown[] = Array.isArray(given) ? given : [given];
  const unknown = names.filter((name) => !METHODS.includes(name as ConsoleMethod));
  if (unknown.length > 0) {
    diag.warn(
      `captureConsole({ levels: ${unknown.map(asText).join(", ")} }): not among ${
        METHODS.join(", ")
      }; ignored`,
    );
  }
  return METHODS.filter((method) => names.includes(method));
}

function capture(method: ConsoleMethod, logger: Logger): () => void {
  const print = console[method] as ((...args: unknown[]) => void) | undefined;
  if (typeof print !== "function") return () => {};
  let captures = true;
  const replacement = function (this: unknown, ...args: unknown[]): void {
    if (busy || !captures) return print.apply(this, args);
    busy = true;
    try {
      print.apply(this, args);
    } finally {
      // Behind it, since reading an error may change how it is shown.
      emit(method, logger, args);
      busy = false;
    }
  };
  Object.defineProperty(replacement, "name", { value: method });
  if (!Reflect.set(console, method, replacement)) {
    diag.warn(`captureConsole: console.${method} can't be replaced, and is not recorded`);
  }
  return () => {
    // Where another wrapper is around this one, it stays inside and only prints.
    captures = false;
    if (console[method] === replacement) Reflect.set(console, method, print);
  };
}

/** Never throws: a call of `console` does not fail because of what is recorded about it. */
function emit(method: ConsoleMethod, logger: Logger, args: readonly unknown[]): void {
  try {
    const severityNumber = SEVERITIES[method];
    if (method === "assert" && args[0] || !isEnabled(logger, severityNumber)) return;
    const record: LogRecord = {
      severityNumber,
      severityText: method,
      body: method === "assert" ? assertionText(args) : textOf(args),
    };
    const exception = args.find(isError);
    if (exception !== undefined) record.exception = readError(exception);
    logger.emit(record);
  } catch {
    // An argument that can't be shown, or an SDK that throws.
  }
}

/** Loggers of older versions of the API don't say. */
function isEnabled(logger: Partial<Logger>, severityNumber: SeverityNumber): boolean {
  return logger.enabled?.({ severityNumber }) !== false;
}

function textOf(args: readonly unknown[]): string {
  const at = args.findIndex(isError);
  return format(...(at < 0 ? args : args.with(at, String(args[at]))));
}

/** As runtimes print it. */
function assertionText(args: readonly unknown[]): string {
  const rest = args.slice(1);
  if (rest.length === 0) return "Assertion failed";
  return typeof rest[0] === "string"
    ? textOf([`Assertion failed: ${rest[0]}`, ...rest.slice(1)])
    : textOf(["Assertion failed:", ...rest]);
}
