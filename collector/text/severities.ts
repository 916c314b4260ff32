/**
 * Severities by their names.
 *
 * @module
 */

/** Lowest numbers of the names for severities (OpenTelemetry logs data model, "Severity Fields"). */
export const SEVERITIES: Readonly<Record<string, number>> = {
  trace: 1,
  debug: 5,
  info: 9,
  warn: 13,
  error: 17,
  fatal: 21,
};
