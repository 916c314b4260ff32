/**
 * Limits: how many attributes, events and links a span or log record may have, and how long a
 * string may be. Defaults and meaning are those of the OpenTelemetry specification (Trace SDK, "Span Limits", and
 * common concepts, "Attribute Limits").
 *
 * @module
 */

/** Limits as a user gives them. What is left out falls back to the environment, then to the default. */
export interface SpanLimits {
  /** Attributes a span keeps; later ones are dropped and counted. Default 128. */
  attributeCountLimit?: number;
  /**
   * UTF-16 code units a string attribute value keeps (of spans, events and links; each string of an
   * array by itself). Default Infinity.
   */
  attributeValueLengthLimit?: number;
  /** Events a span keeps. Default 128. */
  eventCountLimit?: number;
  /** Links a span keeps. Default 128. */
  linkCountLimit?: number;
  /** Attributes one event keeps. Default 128. */
  attributePerEventCountLimit?: number;
  /** Attributes one link keeps. Default 128. */
  attributePerLinkCountLimit?: number;
}

/** Limits with nothing left open: each an integer >= 0 or Infinity. */
export type ResolvedSpanLimits = Readonly<Required<SpanLimits>>;

/** The specification's defaults. */
export const DEFAULT_SPAN_LIMITS: ResolvedSpanLimits = {
  attributeCountLimit: 128,
  attributeValueLengthLimit: Infinity,
  eventCountLimit: 128,
  linkCountLimit: 128,
  attributePerEventCountLimit: 128,
  attributePerLinkCountLimit: 128,
};

/** Limits of log records as a user gives them (Logs SDK, "LogRecord Limits"). */
export interface LogLimits {
  /** Attributes a log record keeps; later ones are dropped and counted. Default 128. */
  attributeCountLimit?: number;
  /** UTF-16 code units a string attribute value keeps, likewise for each of an array. Default Infinity. */
  attributeValueLengthLimit?: number;
}

/** Limits with nothing left open: each an integer >= 0 or Infinity. */
export type ResolvedLogLimits = Readonly<Required<LogLimits>>;

/** The specification's defaults. */
export const DEFAULT_LOG_LIMITS: ResolvedLogLimits = {
  attributeCountLimit: 128,
  attributeValueLengthLimit: Infinity,
};

/** Limits that were settled. */
export interface LimitsResolution<T> {
  /** The limits to use. */
  limits: T;
  /** One line for each value that was ignored. */
  warnings: string[];
}

/**
 * Settles the limits: what the program gave, else the environment, else the default. A value that
 * is neither an integer >= 0 nor Infinity is ignored with a warning, as if it had not been given.
 */
export function resolveSpanLimits(
  programmatic: SpanLimits | undefined,
  environment: SpanLimits = {},
): LimitsResolution<ResolvedSpanLimits> {
  return resolve("span", DEFAULT_SPAN_LIMITS, programmatic, environment);
}

/** The same for log records. */
export function resolveLogLimits(
  programmatic: LogLimits | undefined,
  environment: LogLimits = {},
): LimitsResolution<ResolvedLogLimits> {
  return resolve("log record", DEFAULT_LOG_LIMITS, programmatic, environment);
}

function resolve<T extends Readonly<Record<keyof T, number>>>(
  what: string,
  defaults: T,
  programmatic: Partial<T> | undefined,
  environment: Partial<T>,
): LimitsResolution<T> {
  const limits: Record<keyof T, number> = { ...defaults };
  const warnings: string[] = [];
  for (const name of Object.keys(defaults) as Array<keyof T & string>) {
    const given: unknown = programmatic?.[name];
    const fallback = environment[name] ?? defaults[name];
    if (given !== undefined && given !== null && !isLimit(given)) {
      warnings.push(
        `${what} limit ${name}: ${String(given)} is neither an integer >= 0 nor Infinity; ` +
          `using ${fallback}`,
      );
    }
    limits[name] = isLimit(given) ? given : fallback;
  }
  return { limits: limits as T, warnings };
}

function isLimit(value: unknown): value is number {
  return value === Infinity || (Number.isSafeInteger(value) && (value as number) >= 0);
}
