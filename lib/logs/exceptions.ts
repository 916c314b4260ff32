/**
 * What kills a process, as its last log record.
 *
 * Uses the OpenTelemetry API alone, so it works with any SDK; but only one that has the record
 * written when `emit` returns, like the one beside this, delivers it: the process ends straight
 * after.
 *
 * @module
 */
import process from "node:process";
import { type Logger, logs, SeverityNumber } from "@opentelemetry/api";
import { runtime } from "../../ffi/mod.ts";
import { readError } from "./errors.ts";

/** What is captured. */
export interface ExceptionOptions {
  /** Where the records go. Default: the global provider's logger `exceptions`. */
  readonly logger?: Logger;
}

/**
 * Makes a log record of severity FATAL of every uncaught exception and every rejection that nobody
 * handles, before the process dies of it. What the runtime prints and its exit code stay the same,
 * and so does what listeners of `uncaughtException` and `unhandledRejection` do: a rejection that
 * one of those takes is not recorded. Returns the undo.
 *
 * @example
 * ```ts ignore
 * import { captureExceptions } from "otlp-mmap";
 *
 * const undo = captureExceptions();
 * // throw new Error("gone"): a log record with exception.type, .message and .stacktrace
 * undo();
 * ```
 */
export function captureExceptions(options: ExceptionOptions = {}): () => void {
  const logger = options.logger ?? logs.getLogger("exceptions");
  const onException = (error: unknown, origin?: string): void =>
    emit(logger, error, origin === "unhandledRejection");
  // Hears of an exception without being taken for somebody who handles it.
  process.on("uncaughtExceptionMonitor", onException);
  const undoRejections = monitorHearsRejections()
    ? () => {}
    : captureRejections((reason) => emit(logger, reason, true));
  return () => {
    process.removeListener("uncaughtExceptionMonitor", onException);
    undoRejections();
  };
}

/** Bun tells the monitor of rejections only where a flag makes exceptions of them. */
function monitorHearsRejections(): boolean {
  return runtime.name !== "bun" || ["strict", "throw"].includes(rejectionMode());
}

/** The value of `--unhandled-rejections`, "" when it is not given. */
function rejectionMode(): string {
  const flags = process.execArgv;
  const at = flags.findIndex((flag) => /^--unhandled-rejections(=|$)/.test(flag));
  if (at < 0) return "";
  return flags[at].includes("=") ? flags[at].split("=")[1] : flags[at + 1] ?? "";
}

/**
 * Hears of rejections as a listener, which keeps the runtime from doing what it does about them. So
 * they are made again, with the listener gone: the runtime then does what it would have done. One
 * more rejection behind them, which is ours, says when all that came together have been heard of,
 * so that they stay in order.
 */
function captureRejections(hear: (reason: unknown) => void): () => void {
  const isLeftToUs = ["", "bun", "warn-with-error-code"].includes(rejectionMode());
  const marker = {};
  const heard: unknown[] = [];
  let captures = true;
  const listener = (reason: unknown): void => {
    if (reason === marker) {
      process.removeListener("unhandledRejection", listener);
      // Here, not in a task of its own: the runtime shows the line it is at.
      for (const again of heard.splice(0)) void Promise.reject(again);
      setImmediate(() => {
        if (captures) process.prependListener("unhandledRejection", listener);
      });
      return;
    }
    // Others decide what becomes of it.
    if (process.listenerCount("unhandledRejection") > 1) return;
    hear(reason);
    if (isLeftToUs && heard.push(reason) === 1) void Promise.reject(marker);
  };
  // First, so that others who listen only once are still there.
  process.prependListener("unhandledRejection", listener);
  return () => {
    captures = false;
    process.removeListener("unhandledRejection", listener);
  };
}

/** Never throws: the exception there already is must stay the one that is shown. */
function emit(logger: Logger, error: unknown, isRejection: boolean): void {
  try {
    logger.emit({
      severityNumber: SeverityNumber.FATAL,
      severityText: "FATAL",
      body: `${isRejection ? "unhandled rejection" : "uncaught exception"}: ${textOf(error)}`,
      exception: error instanceof Error ? readError(error) : error,
    });
  } catch {
    // An SDK that throws.
  }
}

function textOf(error: unknown): string {
  try {
    return String(error);
  } catch {
    return "an object that cannot be shown";
  }
}
