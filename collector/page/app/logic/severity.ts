/**
 * OTLP's severity numbers in words.
 *
 * @module
 */

/** Classes of severity, as the log histogram counts them. */
export const SEVERITIES = ["unset", "trace", "debug", "info", "warn", "error", "fatal"] as const;
/** A class of severity. */
export type Severity = typeof SEVERITIES[number];

/** The class of a severity number, 0 to 24. */
export function severity(number: number): Severity {
  return SEVERITIES[Math.min(6, Math.max(0, Math.ceil(number / 4)))]!;
}
