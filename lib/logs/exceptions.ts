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
import { type Logger, SeverityNumber } from "@opentelemetry/api";
import { onRejection } from "../../ffi/mod.ts";
import { isError, readError } from "./errors.ts";
import { asText, loggerOf } from "./given.ts";

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
  const logger = loggerOf("captureExceptions", options?.logger, "exceptions");
  const onException = (error: unknown, origin?: string): void =>
    emit(logger, error, origin === "unhandledRejection");
  // Hears of an exception without being taken for somebody who handles it.
  process.on("uncaughtExceptionMonitor", onException);
  const undoRejections = onRejection((reason) => emit(logger, reason, true));
  return () => {
    process.removeListener("uncaughtExceptionMonitor", onException);
    undoRejections();
  };
}

/** Never throws: the exception there already is must stay the one that is shown. */
function emit(logger: Logger, error: unknown, isRejection: boolean): void {
  try {
    logger.emit({
      severityNumber: SeverityNumber.FATAL,
      severityText: "FATAL",
      body: `${isRejection ? "unhandled rejection" : "uncaught exception"}: ${asText(error)}`,
      exception: isError(error) ? readError(error) : error,
    });
  } catch {
    // An SDK that throws.
  }
}
