/**
 * Log records of pino.
 *
 * Uses the OpenTelemetry API alone, so it works with any SDK, and neither worker threads nor hooks
 * on module loading: it is a destination, which pino calls in the thread that logs.
 *
 * @module
 */
import { hostname } from "node:os";
import process from "node:process";
import type { Attributes, Logger, TimeInput } from "@opentelemetry/api";
import { loggerOf } from "./given.ts";

/** Where the records go. */
export interface PinoOptions {
  /** Default: the global provider's logger `pino`. */
  readonly logger?: Logger;
}

/** What `pino()` takes as its second argument, and `pino.multistream` as a stream. */
export interface PinoDestination {
  /** True, by which pino tells a stream from options. */
  readonly writable: true;
  /** One record of pino, a line of JSON. */
  write(line: string): void;
  /** pino says here what it calls its fields and levels. */
  emit(event: string, message?: unknown): boolean;
  /** Nothing is held back: calls back at once. */
  flush(done?: (error?: Error) => void): void;
  /** The same. */
  flushSync(): void;
  /** The same. */
  end(): void;
}

/** What pino says of itself. */
interface PinoConfig {
  messageKey: string;
  errorKey: string;
  labels: Readonly<Record<number, string>>;
}

/** What pino leaves here before it writes a line. */
interface Last {
  lastLevel?: unknown;
  lastLogger?: unknown;
}

const DEFAULT_LABELS: PinoConfig["labels"] = {
  10: "trace",
  20: "debug",
  30: "info",
  40: "warn",
  50: "error",
  60: "fatal",
};
const METADATA = Symbol.for("pino.metadata");
const HOSTNAME = hostname();
/** Smaller times are seconds: `pino.stdTimeFunctions.unixTime`. */
const SURELY_MS = 1e11;

/**
 * A destination that makes a log record of everything pino writes: its message as body, its level as
 * severity number and text, its time, its error as `exception.*`, and all other fields, those of
 * child loggers and nested objects too, as attributes. `pid` and `hostname` are left out where they
 * are those of this process, for the resource has them. Redaction, serializers and formatters apply,
 * since the records are made of the line that pino writes.
 *
 * @example
 * ```ts ignore
 * import pino from "pino";
 * import { otlpDestination } from "otlp-mmap/pino";
 *
 * const logger = pino({ level: "debug" }, otlpDestination());
 * logger.child({ user: 7 }).info({ items: 3 }, "bought");
 *
 * // And still printed:
 * pino({}, pino.multistream([{ stream: process.stdout }, { stream: otlpDestination() }]));
 * ```
 */
export function otlpDestination(options: PinoOptions = {}): PinoDestination {
  const logger = loggerOf("otlpDestination", options?.logger, "pino");
  const config: PinoConfig = { messageKey: "msg", errorKey: "err", labels: DEFAULT_LABELS };
  const destination: PinoDestination & Last & { [METADATA]: true } = {
    // pino then says the level before it writes, whatever formatters make of it in the line.
    [METADATA]: true,
    writable: true,
    write: (line) => write(logger, config, line, destination),
    emit(event, message) {
      if (event === "message") configure(config, message);
      return true;
    },
    flush: (done) => done?.(),
    flushSync() {},
    end() {},
  };
  return destination;
}

function configure(config: PinoConfig, message: unknown): void {
  const { code, config: said } = message as {
    code?: string;
    config?: { messageKey?: string; errorKey?: string; levels?: { labels?: PinoConfig["labels"] } };
  };
  if (code !== "PINO_CONFIG" || said === undefined) return;
  config.messageKey = said.messageKey ?? config.messageKey;
  config.errorKey = said.errorKey ?? config.errorKey;
  config.labels = said.levels?.labels ?? config.labels;
}

/** Never throws: who logs is not told of what becomes of it. */
function write(logger: Logger, config: PinoConfig, line: string, last: Last): void {
  try {
    const fields = parse(line);
    if (fields === null) return logger.emit({ body: line.trimEnd() });
    const level = typeof last.lastLevel === "number" ? last.lastLevel : fields.level;
    const { time, [config.messageKey]: body } = fields;
    delete fields.level;
    delete fields.time;
    delete fields[config.messageKey];
    if (fields.pid === process.pid) delete fields.pid;
    if (fields.hostname === HOSTNAME) delete fields.hostname;
    moveError(fields, fields, config.errorKey);
    moveNestedError(fields, config.errorKey, last.lastLogger);
    logger.emit({
      timestamp: timeOf(time),
      severityNumber: severityOf(level),
      severityText: typeof level === "number" ? config.labels[level] : textOf(level),
      body,
      attributes: fields,
    });
  } catch {
    // An SDK that throws.
  }
}

function parse(line: string): Attributes | null {
  try {
    const fields: unknown = JSON.parse(line);
    return typeof fields === "object" ? fields as Attributes | null : null;
  } catch {
    return null;
  }
}

/** An error as pino's serializer writes it, to `exception.*`; what else it says stays where it is. */
function moveError(fields: Attributes, from: Attributes, key: string): void {
  const error = from[key];
  if (typeof error !== "object" || error === null) return;
  const { type, message, stack, ...rest } = error as Record<string, unknown>;
  if (typeof message !== "string" && typeof stack !== "string") return;
  delete from[key];
  if (Object.keys(rest).length > 0) from[key] = rest as Attributes;
  const moved = { type, message, stacktrace: stack };
  for (const [name, value] of Object.entries(moved)) {
    if (typeof value === "string" && value !== "") fields[`exception.${name}`] ??= value;
  }
}

/** The same where `nestedKey` put it with all else that was logged; an object of the same form is none. */
function moveNestedError(fields: Attributes, errorKey: string, logger: unknown): void {
  for (const [key, nested] of Object.entries(fields)) {
    if (typeof nested !== "object" || nested === null || !Object.hasOwn(nested, errorKey)) continue;
    // Asked only where it matters.
    if (nestedKeyOf(logger) !== key) continue;
    moveError(fields, nested as Attributes, errorKey);
    if (Object.keys(nested).length === 0) delete fields[key];
    return;
  }
}

/** pino does not say it as it does the others. Loggers have it under a symbol, children by inheritance. */
function nestedKeyOf(logger: unknown): unknown {
  for (let from = logger; typeof from === "object" && from !== null;) {
    const found = Object.getOwnPropertySymbols(from).find(({ description }) =>
      description === "pino.nestedKey"
    );
    if (found !== undefined) return (from as Record<symbol, unknown>)[found];
    from = Object.getPrototypeOf(from);
  }
  return undefined;
}

/**
 * pino's levels are ten apart, OpenTelemetry's four: a level in between, which is somebody's own,
 * stays in between.
 */
function severityOf(level: unknown): number | undefined {
  if (typeof level !== "number" || !Number.isFinite(level)) return undefined;
  const steps = Math.floor((Math.min(Math.max(level, 10), 69) - 10) / 2.5);
  return steps + 1;
}

function textOf(level: unknown): string | undefined {
  return typeof level === "string" ? level : undefined;
}

/** The time in any of the forms of `pino.stdTimeFunctions`; undefined for none. */
function timeOf(time: unknown): TimeInput | undefined {
  if (typeof time === "number") return time < SURELY_MS ? time * 1000 : time;
  if (typeof time !== "string") return undefined;
  const iso = /^(.*:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)$/.exec(time);
  const millis = iso === null ? NaN : Date.parse(iso[1] + iso[3]);
  if (Number.isNaN(millis)) return undefined;
  return [millis / 1000, Number((iso![2] ?? "").padEnd(9, "0"))];
}
