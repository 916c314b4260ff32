/**
 * Environment variables -> settings, by the OpenTelemetry specification ("Environment Variable
 * Specification"). A pure function over an object: nothing here reads `process.env` or logs.
 *
 * @module
 */

import { DiagLogLevel } from "@opentelemetry/api";
import type { FileSizes } from "../file/write.ts";
import type { Overflow } from "../ring/write.ts";
import type { LogLimits, SpanLimits } from "./limits.ts";
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  type Sampler,
  TraceIdRatioBasedSampler,
} from "./sampler.ts";
import { readSizes } from "./sizes.ts";

/** Propagators that are built in. */
export type PropagatorName = "tracecontext" | "baggage";

/** Resource detectors that are built in, in the order in which they run. */
export const DETECTOR_NAMES = ["host", "os", "process", "serviceinstance"] as const;

/** A built-in resource detector. */
export type DetectorName = (typeof DETECTOR_NAMES)[number];

/** What can be recorded without a line of code for it. */
export const INSTRUMENTATION_NAMES = ["http", "console", "exceptions", "runtime"] as const;

/** A built-in instrumentation. */
export type InstrumentationName = (typeof INSTRUMENTATION_NAMES)[number];

/** Which temporality definitions of metrics ask for (OTLP metrics exporter specification). */
export type Temporality = "cumulative" | "delta" | "lowmemory";

/** Which measurements become exemplars. */
export type ExemplarFilter = "trace_based" | "always_on" | "always_off";

/** What the records survive: the end of the process, or a loss of power as well. */
export type Durability = "process" | "power";

/** What the environment says. */
export interface EnvironmentSettings {
  /** OTEL_SDK_DISABLED: nothing is recorded. Propagators still apply. */
  disabled: boolean;
  /** False with OTEL_TRACES_EXPORTER=none: no spans. */
  traces: boolean;
  /** False with OTEL_METRICS_EXPORTER=none: no measurements. */
  metrics: boolean;
  /** False with OTEL_LOGS_EXPORTER=none: no log records. */
  logs: boolean;
  /** OTEL_SERVICE_NAME. */
  serviceName?: string;
  /** OTEL_RESOURCE_ATTRIBUTES, decoded; empty when it is unset or has an error. */
  resourceAttributes: Record<string, string>;
  /** OTEL_NODE_RESOURCE_DETECTORS; all of them when unset. */
  detectors: DetectorName[];
  /** OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG. */
  sampler: Sampler;
  /** OTEL_PROPAGATORS, each once; empty for "none". */
  propagators: PropagatorName[];
  /** The span limits that are set; the ones for spans fall back to the general ones. */
  limits: SpanLimits;
  /** Limits of log records: OTEL_LOGRECORD_*, else the general ones. */
  logLimits: LogLimits;
  /** OTEL_METRIC_EXPORT_INTERVAL: how often observables are asked, ms. */
  metricIntervalMs: number;
  /** OTEL_METRIC_EXPORT_TIMEOUT: how long their callbacks may take, ms; for 0 Infinity. */
  metricTimeoutMs: number;
  /** OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE. */
  temporality: Temporality;
  /** OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION. */
  histograms: "explicit" | "exponential";
  /** OTEL_METRICS_EXEMPLAR_FILTER. */
  exemplars: ExemplarFilter;
  /** OTLP_MMAP_INSTRUMENT; empty when unset. */
  instrumentations: InstrumentationName[];
  /** OTEL_LOG_LEVEL, for the API's diag logger. */
  logLevel?: DiagLogLevel;
  /** SDK_MMAP_EXPORTER_FILE: the one exact file to write. */
  file?: string;
  /** OTLP_MMAP_DIR: the directory to make files in. */
  directory?: string;
  /** OTLP_MMAP_OVERFLOW: what goes when a ring is full and nobody reads. */
  overflow: Overflow;
  /** OTLP_MMAP_DURABILITY: what the records survive. */
  durability: Durability;
  /** OTLP_MMAP_SPANS_SLOTS and the others of the file's sizes: those that are set. */
  sizes: FileSizes;
  /** One line for each value that was ignored or replaced. */
  warnings: string[];
}

/** Environment variables by name, such as `process.env`. */
export type Environment = Record<string, string | undefined>;

/**
 * Reads every variable the SDK knows. Never throws: a value that can't be used is treated as unset
 * and a line in `warnings` says so; empty and blank values are unset; spaces around values don't
 * count. A variable the runtime doesn't let us read is unset, with one warning for all of them.
 */
export function readEnvironment(env: Environment): EnvironmentSettings {
  const warnings: string[] = [];
  const get = getter(env, warnings);
  const limits = readLimits(get, warnings);
  const sampler = readSampler(get, warnings);
  return {
    disabled: readBoolean("OTEL_SDK_DISABLED", get, warnings),
    traces: readExporter("OTEL_TRACES_EXPORTER", "spans", get, warnings),
    metrics: readExporter("OTEL_METRICS_EXPORTER", "measurements", get, warnings),
    logs: readExporter("OTEL_LOGS_EXPORTER", "log records", get, warnings),
    serviceName: get("OTEL_SERVICE_NAME"),
    resourceAttributes: readResourceAttributes(get("OTEL_RESOURCE_ATTRIBUTES"), warnings),
    detectors: readDetectors(get, warnings),
    sampler,
    propagators: readPropagators(get, warnings),
    limits,
    logLimits: readLogLimits(get, warnings),
    metricIntervalMs: readMilliseconds("OTEL_METRIC_EXPORT_INTERVAL", 60_000, get, warnings),
    metricTimeoutMs: readMilliseconds(
      "OTEL_METRIC_EXPORT_TIMEOUT",
      30_000,
      get,
      warnings,
      // No limit: the specification's meaning of 0.
      Infinity,
    ),
    temporality: readChoice(
      "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
      TEMPORALITIES,
      "cumulative",
      get,
      warnings,
    ),
    histograms: readChoice(
      "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
      HISTOGRAMS,
      "explicit",
      get,
      warnings,
    ),
    exemplars: readChoice(
      "OTEL_METRICS_EXEMPLAR_FILTER",
      EXEMPLAR_FILTERS,
      "trace_based",
      get,
      warnings,
    ),
    instrumentations: readInstrumentations(get, warnings),
    logLevel: readLogLevel(get, warnings),
    file: get("SDK_MMAP_EXPORTER_FILE"),
    directory: get("OTLP_MMAP_DIR"),
    overflow: readChoice("OTLP_MMAP_OVERFLOW", OVERFLOWS, "newest", get, warnings),
    durability: readChoice("OTLP_MMAP_DURABILITY", DURABILITIES, "process", get, warnings),
    sizes: readSizes(get, warnings),
    warnings,
  };
}

type Get = (name: string) => string | undefined;

function getter(env: Environment, warnings: string[]): Get {
  let refused = false;
  return (name) => {
    try {
      return env[name]?.trim() || undefined;
    } catch (error) {
      if (!refused) {
        refused = true;
        warnings.push(
          `environment variable ${name}: no permission to read it, and perhaps others, so they ` +
            `count as unset; allow access to the environment (${String(error)})`,
        );
      }
      return undefined;
    }
  };
}

function list(text: string): string[] {
  return text.split(",").map((item) => item.trim()).filter((item) => item !== "");
}

/** A list of names from a known set, in any case. */
function nameList(text: string): string[] {
  return list(text.toLowerCase());
}

function readBoolean(name: string, get: Get, warnings: string[]): boolean {
  const text = get(name)?.toLowerCase();
  if (text === "true") return true;
  if (text !== undefined && text !== "false") {
    warnings.push(`${name}=${get(name)}: neither "true" nor "false"; using false`);
  }
  return false;
}

function readExporter(name: string, what: string, get: Get, warnings: string[]): boolean {
  const text = get(name);
  const choice = text?.toLowerCase() ?? "otlp";
  if (choice === "otlp") return true;
  if (choice === "none") return false;
  warnings.push(
    `${name}=${text}: has no effect, ${what} go to the mapped file and its collector sends or ` +
      `prints them; "none" turns them off`,
  );
  return true;
}

function readChoice<T>(
  name: string,
  choices: Readonly<Record<string, T>>,
  fallback: NoInfer<T>,
  get: Get,
  warnings: string[],
): T {
  const text = get(name);
  if (text === undefined) return fallback;
  // The specification asks for these to be compared without regard to case.
  const key = text.toLowerCase();
  if (Object.hasOwn(choices, key)) return choices[key];
  warnings.push(`${name}=${text}: not one of ${Object.keys(choices).join(", ")}; ignored`);
  return fallback;
}

const TEMPORALITIES: Record<string, Temporality> = {
  cumulative: "cumulative",
  delta: "delta",
  lowmemory: "lowmemory",
};
const HISTOGRAMS: Record<string, "explicit" | "exponential"> = {
  explicit_bucket_histogram: "explicit",
  base2_exponential_bucket_histogram: "exponential",
};
const OVERFLOWS: Record<string, Overflow> = { newest: "newest", oldest: "oldest" };
const DURABILITIES: Record<string, Durability> = { process: "process", power: "power" };
const EXEMPLAR_FILTERS: Record<string, ExemplarFilter> = {
  trace_based: "trace_based",
  always_on: "always_on",
  always_off: "always_off",
};

/** `zero` is what 0 stands for, where it may be given. */
function readMilliseconds(
  name: string,
  fallback: number,
  get: Get,
  warnings: string[],
  zero?: number,
): number {
  const text = get(name);
  if (text === undefined) return fallback;
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (value === 0 && zero !== undefined) return zero;
  if (value > 0 && value <= MAX_LIMIT) return value;
  const least = zero === undefined ? "above 0" : `from 0 to ${MAX_LIMIT}`;
  warnings.push(`${name}=${text}: not a whole number of milliseconds ${least}; using ${fallback}`);
  return fallback;
}

function readInstrumentations(get: Get, warnings: string[]): InstrumentationName[] {
  const names = nameList(get("OTLP_MMAP_INSTRUMENT") ?? "none");
  if (names.includes("none")) return [];
  if (names.includes("all")) return [...INSTRUMENTATION_NAMES];
  for (const name of names) {
    if (!(INSTRUMENTATION_NAMES as readonly string[]).includes(name)) {
      warnings.push(
        `OTLP_MMAP_INSTRUMENT: "${name}" is not one of ${INSTRUMENTATION_NAMES.join(", ")}, all, ` +
          `none; ignored`,
      );
    }
  }
  return INSTRUMENTATION_NAMES.filter((name) => names.includes(name));
}

const LOG_LEVELS: Record<string, DiagLogLevel> = {
  NONE: DiagLogLevel.NONE,
  ERROR: DiagLogLevel.ERROR,
  WARN: DiagLogLevel.WARN,
  INFO: DiagLogLevel.INFO,
  DEBUG: DiagLogLevel.DEBUG,
  VERBOSE: DiagLogLevel.VERBOSE,
  ALL: DiagLogLevel.ALL,
};

function readLogLevel(get: Get, warnings: string[]): DiagLogLevel | undefined {
  const text = get("OTEL_LOG_LEVEL");
  if (text === undefined) return undefined;
  const name = text.toUpperCase();
  if (Object.hasOwn(LOG_LEVELS, name)) return LOG_LEVELS[name];
  warnings.push(
    `OTEL_LOG_LEVEL=${text}: not one of ${
      Object.keys(LOG_LEVELS).join(", ").toLowerCase()
    }; ignored`,
  );
  return undefined;
}

// ------------------------------------------------------------------------------------- resource

/**
 * `key=value,key=value`, percent-encoded. By the specification any error discards the whole value
 * (Resource SDK, "Specifying resource information via an environment variable").
 */
function readResourceAttributes(
  text: string | undefined,
  warnings: string[],
): Record<string, string> {
  const attributes: Record<string, string> = {};
  for (const pair of list(text ?? "")) {
    const parts = pair.split("=");
    const problem = parts.length !== 2
      ? `has ${parts.length - 1} "=" instead of one (write %3D for "=" and %2C for "," in values)`
      : parts[0].trim() === ""
      ? "has no key"
      : undefined;
    if (problem !== undefined) return discard(pair, problem);
    try {
      // Defined, not assigned: "__proto__" is a key like any other.
      Object.defineProperty(attributes, decodeURIComponent(parts[0].trim()), {
        value: decodeURIComponent(parts[1].trim()),
        enumerable: true,
        configurable: true,
        writable: true,
      });
    } catch {
      return discard(pair, "is not percent-encoded UTF-8 (write %25 for a percent sign)");
    }
  }
  return attributes;

  function discard(pair: string, problem: string): Record<string, string> {
    warnings.push(`OTEL_RESOURCE_ATTRIBUTES: "${pair}" ${problem}; the whole value is ignored`);
    return {};
  }
}

/**
 * Two more names are known. `env` asks for what is read in any case (the specification demands it),
 * and `service`, the specification's name, for an instance id besides.
 */
function readDetectors(get: Get, warnings: string[]): DetectorName[] {
  const text = get("OTEL_NODE_RESOURCE_DETECTORS");
  const names = nameList(text ?? "all");
  if (names.includes("all")) return [...DETECTOR_NAMES];
  if (names.includes("none")) return [];
  const known = ["env", "service", ...DETECTOR_NAMES];
  for (const name of names) {
    if (!known.includes(name)) {
      warnings.push(
        `OTEL_NODE_RESOURCE_DETECTORS: "${name}" is not one of ${known.join(", ")}, all, none; ` +
          `ignored. Other detectors can be passed to start()`,
      );
    }
  }
  if (names.includes("service")) names.push("serviceinstance");
  return DETECTOR_NAMES.filter((name) => names.includes(name));
}

// -------------------------------------------------------------------------------------- sampler

function readSampler(get: Get, warnings: string[]): Sampler {
  const name = get("OTEL_TRACES_SAMPLER");
  switch (name?.toLowerCase()) {
    case undefined:
    case "parentbased_always_on":
      return new ParentBasedSampler({ root: new AlwaysOnSampler() });
    case "parentbased_always_off":
      return new ParentBasedSampler({ root: new AlwaysOffSampler() });
    case "parentbased_traceidratio":
      return new ParentBasedSampler({ root: readRatio(get, warnings) });
    case "traceidratio":
      return readRatio(get, warnings);
    case "always_on":
      return new AlwaysOnSampler();
    case "always_off":
      return new AlwaysOffSampler();
  }
  warnings.push(
    `OTEL_TRACES_SAMPLER=${name}: not one of always_on, always_off, traceidratio, ` +
      `parentbased_always_on, parentbased_always_off, parentbased_traceidratio; using ` +
      `parentbased_always_on. Another sampler can be passed to start()`,
  );
  return new ParentBasedSampler({ root: new AlwaysOnSampler() });
}

function readRatio(get: Get, warnings: string[]): Sampler {
  const text = get("OTEL_TRACES_SAMPLER_ARG");
  if (text === undefined) return new TraceIdRatioBasedSampler(1);
  const ratio = Number(text);
  if (ratio >= 0 && ratio <= 1) return new TraceIdRatioBasedSampler(ratio);
  warnings.push(`OTEL_TRACES_SAMPLER_ARG=${text}: not a number from 0 to 1; using 1`);
  return new TraceIdRatioBasedSampler(1);
}

// ---------------------------------------------------------------------------------- propagators

function readPropagators(get: Get, warnings: string[]): PropagatorName[] {
  const text = get("OTEL_PROPAGATORS") ?? "tracecontext,baggage";
  const found = new Set<PropagatorName>();
  const names = nameList(text);
  for (const name of names) {
    if (name === "tracecontext" || name === "baggage") {
      found.add(name);
    } else if (name !== "none") {
      warnings.push(
        `OTEL_PROPAGATORS: "${name}" is not built in (tracecontext, baggage and none are); ` +
          `ignored. Pass a propagator object for it to start({ propagators: [...] })`,
      );
    }
  }
  if (names.includes("none") && found.size > 0) {
    warnings.push(`OTEL_PROPAGATORS=${text}: "none" beside others; using none`);
    return [];
  }
  return [...found];
}

// --------------------------------------------------------------------------------------- limits

/** Largest limit the specification asks for; larger ones are no different from it in practice. */
const MAX_LIMIT = 2 ** 31 - 1;

function readLimit(name: string, get: Get, warnings: string[]): number | undefined {
  const text = get(name);
  if (text === undefined) return undefined;
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (value <= MAX_LIMIT) return value;
  warnings.push(`${name}=${text}: not an integer from 0 to ${MAX_LIMIT}; ignored`);
  return undefined;
}

function readLimits(get: Get, warnings: string[]): SpanLimits {
  const read = (name: string): number | undefined => readLimit(name, get, warnings);
  const count = read("OTEL_ATTRIBUTE_COUNT_LIMIT");
  const length = read("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT");
  return {
    attributeCountLimit: read("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT") ?? count,
    attributeValueLengthLimit: read("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT") ?? length,
    eventCountLimit: read("OTEL_SPAN_EVENT_COUNT_LIMIT"),
    linkCountLimit: read("OTEL_SPAN_LINK_COUNT_LIMIT"),
    attributePerEventCountLimit: read("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT") ?? count,
    attributePerLinkCountLimit: read("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT") ?? count,
  };
}

function readLogLimits(get: Get, warnings: string[]): LogLimits {
  // A bad general limit was warned of for spans.
  const general = (name: string): number | undefined => readLimit(name, get, []);
  return {
    attributeCountLimit: readLimit("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", get, warnings) ??
      general("OTEL_ATTRIBUTE_COUNT_LIMIT"),
    attributeValueLengthLimit:
      readLimit("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", get, warnings) ??
        general("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
  };
}
