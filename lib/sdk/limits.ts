/**
 * Span limits: how many attributes, events and links a span may have, and how long a string may be.
 * Defaults and meaning are those of the OpenTelemetry specification (Trace SDK, "Span Limits", and
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

/** The names of the limits. */
export const SPAN_LIMIT_NAMES: ReadonlyArray<keyof SpanLimits> = Object.keys(
  DEFAULT_SPAN_LIMITS,
) as Array<keyof SpanLimits>;

/** What `resolveSpanLimits` found. */
export interface SpanLimitsResolution {
  /** The limits to use. */
  limits: ResolvedSpanLimits;
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
): SpanLimitsResolution {
  const limits = { ...DEFAULT_SPAN_LIMITS } as Required<SpanLimits>;
  const warnings: string[] = [];
  for (const name of SPAN_LIMIT_NAMES) {
    const given: unknown = programmatic?.[name];
    const fallback = environment[name] ?? DEFAULT_SPAN_LIMITS[name];
    if (given === undefined || given === null) {
      limits[name] = fallback;
    } else if (isLimit(given)) {
      limits[name] = given;
    } else {
      limits[name] = fallback;
      warnings.push(
        `span limit ${name}: ${String(given)} is neither an integer >= 0 nor Infinity; ` +
          `using ${fallback}`,
      );
    }
  }
  return { limits, warnings };
}

function isLimit(value: unknown): value is number {
  return value === Infinity || (Number.isSafeInteger(value) && (value as number) >= 0);
}
