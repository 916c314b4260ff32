/**
 * Names of levels as severity numbers, by the tables of the specification ("Appendix B:
 * SeverityNumber example mappings" of the logs data model) where they have the name, and in between
 * where they have not.
 *
 * @module
 */
import { SeverityNumber } from "@opentelemetry/api";

const NUMBERS: Readonly<Record<string, SeverityNumber>> = {
  // Syslog.
  emerg: SeverityNumber.FATAL,
  emergency: SeverityNumber.FATAL,
  alert: SeverityNumber.ERROR3,
  crit: SeverityNumber.ERROR2,
  critical: SeverityNumber.ERROR2,
  error: SeverityNumber.ERROR,
  err: SeverityNumber.ERROR,
  warning: SeverityNumber.WARN,
  warn: SeverityNumber.WARN,
  notice: SeverityNumber.INFO2,
  info: SeverityNumber.INFO,
  informational: SeverityNumber.INFO,
  debug: SeverityNumber.DEBUG,
  // Others of the tables.
  fatal: SeverityNumber.FATAL,
  trace: SeverityNumber.TRACE,
  // npm, and what a command-line program says to its user.
  http: SeverityNumber.DEBUG3,
  verbose: SeverityNumber.DEBUG2,
  silly: SeverityNumber.TRACE,
  help: SeverityNumber.INFO3,
  data: SeverityNumber.INFO2,
  prompt: SeverityNumber.TRACE4,
  input: SeverityNumber.TRACE2,
};

/** The severity number of a level's name, whatever its case; undefined for names nobody knows. */
export function severityOfName(name: unknown): SeverityNumber | undefined {
  if (typeof name !== "string") return undefined;
  const known = name.toLowerCase();
  return Object.hasOwn(NUMBERS, known) ? NUMBERS[known] : undefined;
}
