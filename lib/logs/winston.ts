/**
 * Log records of winston.
 *
 * Uses the OpenTelemetry API alone, so it works with any SDK, and is no part of winston: what winston
 * wants of a transport is a stream of objects.
 *
 * @module
 */
import { Writable } from "node:stream";
import {
  type Attributes,
  type Context,
  context as contextApi,
  diag,
  type Logger,
  type LogRecord,
} from "@opentelemetry/api";
import { isError } from "./errors.ts";
import { loggerOf } from "./given.ts";
import { plain } from "./plain.ts";
import { severityOfName } from "./severity.ts";

/** A record of winston, with what it puts under its symbols. */
type Info = Record<string | symbol, unknown>;

/** What a format of winston has. */
interface Format {
  transform(info: Info, options?: unknown): unknown;
  options?: unknown;
}

/** As of winston's own transports. */
export interface WinstonOptions {
  /** The least severe level that is recorded. Default the logger's. */
  readonly level?: string;
  /** Records nothing. */
  readonly silent?: boolean;
  /** Also records what winston knows of uncaught exceptions. */
  readonly handleExceptions?: boolean;
  /** Also records what winston knows of rejections nobody handles. */
  readonly handleRejections?: boolean;
  /** A format of winston, for this transport alone. */
  // deno-lint-ignore no-explicit-any
  readonly format?: any;
  /** Where the records go. Default: the global provider's logger `winston`. */
  readonly logger?: Logger;
}

const LEVEL = Symbol.for("level");
const SPLAT = Symbol.for("splat");
/** What winston adds about the process to an uncaught exception; the resource has it. */
const PROCESS_FIELDS = ["exception", "rejection", "date", "process", "os", "trace"];

/**
 * What there is at the call: winston may hand the record over later, and formats keep of an error
 * what they like.
 */
interface Call {
  readonly context: Context;
  readonly time: number;
  readonly error: Error | undefined;
}
const calls = new WeakMap<object, Call>();

/**
 * A transport that makes a log record of everything winston writes: its message as body, its level
 * as severity number and text, `timestamp` as its time, an error as `exception.*`, and all other
 * fields, those of child loggers too, as attributes. The record belongs to the span that was active
 * when it was logged.
 *
 * @example
 * ```ts ignore
 * import { createLogger } from "winston";
 * import { OtlpTransport } from "otlp-mmap/winston";
 *
 * const logger = createLogger({ level: "debug", transports: [new OtlpTransport()] });
 * logger.child({ user: 7 }).info("bought", { items: 3 });
 * ```
 */
export class OtlpTransport extends Writable {
  /** As given. */
  level: string | undefined;
  /** As given; may be set. */
  silent: boolean | undefined;
  /** As given. */
  handleExceptions: boolean | undefined;
  /** As given. */
  handleRejections: boolean | undefined;
  /** As given. */
  // deno-lint-ignore no-explicit-any
  format: any;
  /** Ranks of the levels, of the logger that writes here. */
  levels: Readonly<Record<string, number>> | undefined;
  private readonly logger: Logger;
  private hasFailed = false;
  private parent: { level?: string } | null = null;

  /** @param options All of them may be left out. */
  constructor(options: WinstonOptions = {}) {
    super({ objectMode: true });
    this.level = options?.level;
    this.silent = options?.silent;
    this.handleExceptions = options?.handleExceptions;
    this.handleRejections = options?.handleRejections;
    this.format = options?.format;
    this.logger = loggerOf("OtlpTransport", options?.logger, "winston");
    let release = (): void => {};
    this.on("pipe", (source: unknown) => {
      const parent = source as { level?: string; levels?: Record<string, number> };
      this.parent = parent;
      this.levels = parent.levels;
      release = noteCalls(source as Source);
    });
    this.on("unpipe", (source: unknown) => {
      if (source !== this.parent) return;
      this.parent = null;
      release();
    });
  }

  /** Makes a log record of `info` and calls `next`. */
  log(info: unknown, next: () => void): void {
    try {
      const call = calls.get(info as object);
      const record = recordOf(info as Info, call?.error);
      record.context = call?.context ?? contextApi.active();
      record.timestamp ??= call?.time;
      this.logger.emit(record);
    } catch {
      // An SDK that throws: who logs is not told of what becomes of it.
    }
    next();
  }

  /** What streams call. */
  override _write(info: Info, _encoding: string, next: (error?: Error | null) => void): void {
    let wanted: unknown;
    try {
      wanted = this.accepts(info) ? this.formatted(info) : undefined;
    } catch (error) {
      // Thrown on, it would come out of the call that logs, and this stream would take nothing more.
      if (!this.hasFailed) {
        diag.error("OtlpTransport: a record can't be formatted, and is lost", error);
      }
      this.hasFailed = true;
    }
    if (wanted) this.log(wanted, next);
    else next();
  }

  private accepts(info: Info): boolean {
    if (this.silent || (info.exception === true && !this.handleExceptions)) return false;
    const least = this.level ?? this.parent?.level;
    const { levels } = this;
    if (least === undefined || levels === undefined) return true;
    return levels[least] >= levels[levelOf(info)];
  }

  private formatted(info: Info): unknown {
    const format = this.format as Format | undefined;
    if (format === undefined) return info;
    const formatted = format.transform(Object.assign({}, info), format.options);
    const call = calls.get(info);
    if (call !== undefined && typeof formatted === "object" && formatted !== null) {
      calls.set(formatted, call);
    }
    return formatted;
  }
}

/** What a logger of winston is to its transports. */
interface Source {
  write?: (...args: unknown[]) => boolean;
}

/**
 * Has a logger note what there is at each call: it holds records back until it has had its first
 * turn, and while another transport is slow. Returns the undo.
 */
function noteCalls(source: Source): () => void {
  const { write } = source;
  if (typeof write !== "function") return () => {};
  const noting = function (this: unknown, ...args: unknown[]): boolean {
    const [info] = args;
    if (typeof info === "object" && info !== null) {
      calls.set(info, {
        context: contextApi.active(),
        time: Date.now(),
        error: errorOf(info as Info),
      });
    }
    return write.apply(this, args);
  };
  source.write = noting;
  return () => {
    if (source.write === noting) source.write = write;
  };
}

/** Formats may have coloured the level. */
function levelOf(info: Info): string {
  return String(info[LEVEL] ?? info.level);
}

function recordOf(info: Info, logged: Error | undefined): LogRecord {
  const level = levelOf(info);
  const error = logged ?? errorOf(info);
  // Of an Error its own properties; its message and stack are not among them.
  const { level: _level, message, timestamp, stack, ...rest } = info;
  const attributes: Attributes = {};
  const time = timeOf(timestamp);
  if (time === undefined && timestamp !== undefined) attributes.timestamp = plain(timestamp);
  const isOfHandler = info.exception === true || info.rejection === true;
  for (const [key, value] of Object.entries(rest)) {
    if (value === error && error !== undefined) continue;
    if (isOfHandler && PROCESS_FIELDS.includes(key)) continue;
    const form = plain(value);
    if (form !== undefined) attributes[key] = form;
  }
  if (error !== undefined) {
    setException(attributes, error.name, error.message, error.stack);
  } else if (typeof stack === "string" && stack.includes("\n")) {
    // The error itself is gone: a format made another record of it.
    setException(attributes, /^([\w$.]+)(?=: |\n)/.exec(stack)?.[1], message, stack);
  } else if (stack !== undefined) {
    attributes.stack = plain(stack);
  }
  return {
    timestamp: time,
    severityNumber: severityOfName(level),
    severityText: level,
    body: message instanceof Error ? message.message : bodyOf(info, message),
    attributes,
  };
}

function bodyOf(info: Info, message: unknown): unknown {
  return info instanceof Error
    ? info.message
    : typeof message === "string"
    ? message
    : plain(message);
}

function setException(attributes: Attributes, type: unknown, message: unknown, stack: unknown) {
  const parts = { type, message, stacktrace: stack };
  for (const [name, value] of Object.entries(parts)) {
    if (value !== undefined && value !== "") attributes[`exception.${name}`] ??= String(value);
  }
}

/** The Error that was logged, in any of the places where winston and its users put one. */
function errorOf(info: Info): Error | undefined {
  if (isError(info)) return info;
  try {
    const splat = info[SPLAT];
    const candidates = [
      info.message,
      ...(Array.isArray(splat) ? splat : []),
      info.error,
      info.err,
      info.exception,
    ];
    return candidates.find(isError);
  } catch {
    // A getter that throws.
    return undefined;
  }
}

/**
 * What `format.timestamp()` writes, a date, or epoch milliseconds; undefined for anything else, such
 * as a time in a format of the user's, which lacks at least its zone.
 */
function timeOf(timestamp: unknown): number | undefined {
  const millis = timestamp instanceof Date
    ? timestamp.getTime()
    : typeof timestamp === "string" && /T.*(Z|[+-]\d\d:?\d\d)$/.test(timestamp)
    ? Date.parse(timestamp)
    : timestamp;
  return typeof millis === "number" && millis > 0 ? millis : undefined;
}
