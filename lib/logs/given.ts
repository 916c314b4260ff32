/**
 * What a program passes: nothing of it may throw where it is taken.
 *
 * @module
 */
import { diag, type Logger, logs } from "@opentelemetry/api";

/** The logger that was given, or the global provider's of this name. */
export function loggerOf(caller: string, given: unknown, name: string): Logger {
  if (typeof (given as Partial<Logger> | null | undefined)?.emit === "function") {
    return given as Logger;
  }
  if (given !== undefined && given !== null) {
    diag.warn(`${caller}: the logger has no emit(); taking the global provider's`);
  }
  return logs.getLogger(name);
}

/** For people. Never throws. */
export function asText(value: unknown): string {
  try {
    return String(value);
  } catch {
    return "an object that cannot be shown";
  }
}
