/**
 * Starts the SDK: settings from the environment and the program, the file, the API's globals.
 *
 * @module
 */
import { unlinkSync } from "node:fs";
import process from "node:process";
import {
  type Attributes,
  type Context,
  context,
  diag,
  DiagConsoleLogger,
  type Span,
  type TextMapPropagator,
} from "@opentelemetry/api";
import {
  CompositePropagator,
  W3CBaggagePropagator,
  W3CTraceContextPropagator,
} from "@opentelemetry/core";
import { explainDenied, runtime } from "../../ffi/mod.ts";
import type { Place } from "../file/place.ts";
import type { FileSizes } from "../file/write.ts";
import type { Overflow } from "../ring/write.ts";
import {
  type Durability,
  type EnvironmentSettings,
  type ExemplarFilter,
  type PropagatorName,
  readEnvironment,
  type Temporality,
} from "./config.ts";
import { choiceOf, DURABILITIES, OVERFLOWS, whyNotPower } from "./durability.ts";
import { endOnce } from "./end-once.ts";
import { endInOrder } from "./exit.ts";
import { givenAs } from "./given.ts";
import {
  type ContextGlobals,
  isProvided,
  registerContext,
  registerProviders,
  releaseContext,
} from "./globals.ts";
import { type LogLimits, resolveLogLimits, resolveSpanLimits, type SpanLimits } from "./limits.ts";
import type { LogRecordHook } from "./logger.ts";
import { LoggerProvider } from "./logger-provider.ts";
import { MeterProvider } from "./meter-provider.ts";
import { resolveMetricOptions } from "./metric-options.ts";
import { flushTimeout, TracerProvider } from "./provider.ts";
import { Recorder } from "./recorder.ts";
import { buildResource, type ResourceDetector } from "./resource.ts";
import { compileSampler, type Sampler } from "./sampler.ts";
import { asText } from "./span.ts";
import { mergeSizes } from "./sizes.ts";
import type { View } from "./views.ts";
import type { IdGenerator } from "./tracer.ts";

/** What a program can say; anything left out comes from the environment, then from the defaults. */
export interface StartOptions {
  /** Attributes of the resource, over those of the environment and the detectors. */
  resource?: Attributes;
  /** Schema URL of the resource's attributes. */
  resourceSchemaUrl?: string;
  /** Detectors run beside the built-in ones; only what they give synchronously is used. */
  resourceDetectors?: readonly ResourceDetector[];
  /** Decides which spans are recorded. Default: OTEL_TRACES_SAMPLER, else parentbased_always_on. */
  sampler?: Sampler;
  /** Makes trace and span ids. Default: random ones. */
  idGenerator?: IdGenerator;
  /** Default: OTEL_PROPAGATORS, else W3C trace context and baggage. */
  propagators?: readonly TextMapPropagator[];
  /** Limits of spans, events and links. */
  limits?: SpanLimits;
  /** Sizes of the file. Default: OTLP_MMAP_SPANS_SLOTS and its like, else as `FileSizes` says. */
  sizes?: FileSizes;
  /**
   * What goes when a ring is full and no collector reads: the `"newest"` records are refused, or the
   * `"oldest"` discarded, as in a flight recorder. Default: OTLP_MMAP_OVERFLOW, else `"newest"`.
   * Files of the second kind can be read by this project's readers alone.
   */
  overflow?: Overflow;
  /**
   * What records survive: the end of the `"process"`, or a loss of `"power"`, too, but for the last
   * second. That needs Linux and a directory on a disk of this machine, and syncs it every second and
   * after each log record of severity ERROR or above. Default: OTLP_MMAP_DURABILITY, else `"process"`.
   */
  durability?: Durability;
  /** Called with every span when it has started, for example to copy baggage onto it. */
  onStart?: (span: Span, parentContext: Context) => void;
  /** What measurements become. */
  metrics?: MetricOptions;
  /** What log records become. */
  logs?: LogOptions;
  /** The one exact file to write. Default: SDK_MMAP_EXPORTER_FILE. */
  file?: string;
  /** The directory to make the file in. Default: OTLP_MMAP_DIR, else the user's default place. */
  directory?: string;
  /** Environment variables. Default: those of the process. */
  env?: Record<string, string | undefined>;
}

/** Settings of metrics; what is left out comes from the environment, then from the defaults. */
export interface MetricOptions {
  /** Which temporality the collector exports unless it is told otherwise. Default: cumulative. */
  temporality?: Temporality;
  /** What histograms become: buckets with explicit bounds (default), or exponential ones. */
  histograms?: "explicit" | "exponential";
  /** Which measurements carry the active span, to become exemplars. Default: those in sampled spans. */
  exemplars?: ExemplarFilter;
  /** How often the callbacks of observable instruments are asked, ms. Default 60,000. */
  intervalMs?: number;
  /** How long they may take, ms; 0 is no limit. Default 30,000. */
  timeoutMs?: number;
  /** Changes to what instruments become: names, aggregations, attributes. */
  views?: readonly View[];
}

/** Settings of log records. */
export interface LogOptions {
  /** Limits of their attributes. */
  limits?: LogLimits;
  /** Sees every record before it is written; may change it, or drop it by returning false. */
  onEmit?: LogRecordHook;
  /** Records with a lower severity number are dropped, those without one are not. Default 0. */
  minimumSeverity?: number;
}

/** The running SDK. */
export interface Sdk {
  /** False when nothing is recorded; `reason` says why. */
  readonly recording: boolean;
  /** Why nothing is recorded. */
  readonly reason?: string;
  /** The path of the file being written now. */
  readonly path?: string;
  /** The providers registered with the API; undefined for a signal that is not recorded. */
  readonly tracerProvider?: TracerProvider;
  readonly meterProvider?: MeterProvider;
  readonly loggerProvider?: LoggerProvider;
  /**
   * Resolves true when the collector has taken everything written so far, after asking the callbacks
   * of observable instruments once more; false after `timeout` ms (default 5,000). Nothing depends on it: what is recorded survives the process without it.
   */
  forceFlush(options?: { timeout?: number }): Promise<boolean>;
  /**
   * Marks the file as complete, removes the SDK from the API's globals, and ends recording. A program
   * that ends with the exit code 0 need not call it: its file is marked then. Callbacks of observable
   * instruments are asked once more and waited for; one that calls it does not wait. Where nothing is recorded
   * it ends the propagation of context; `start` can be called again with or without that.
   */
  shutdown(): Promise<void>;
}

/**
 * Starts recording and registers with `@opentelemetry/api`. Never throws: what goes wrong is said
 * through the API's diag logger and in the result, and the application runs on without telemetry.
 * Context still propagates then, so that what other services record stays one trace.
 *
 * ```ts
 * import { trace } from "@opentelemetry/api";
 * import { start } from "otlp-mmap";
 *
 * const sdk = start({ resource: { "service.name": "checkout" } });
 * trace.getTracer("shop").startActiveSpan("buy", (span) => span.end());
 * await sdk.shutdown();
 * ```
 */
export function start(options: StartOptions = {}): Sdk {
  if (running !== null) {
    return notRecording(
      `this start() has no effect: the SDK was started in this thread before, and goes on into ` +
        `${running.path}. Leave one of them out (importing register is one, too), or shut the first ` +
        `one down before`,
    );
  }
  try {
    return startUnguarded(options);
  } catch (error) {
    return notRecording(`telemetry is off: ${explainDenied(error)}`);
  }
}

/** The one that records. */
let running: Sdk | null = null;
/** What a start that records nothing has of the API's globals; the next one takes it over. */
let idle: ContextGlobals = { manager: null, propagator: null };

function startUnguarded(given: StartOptions): Sdk {
  // Said once it is known how much is to be said.
  const warnings: string[] = [];
  const collect = (message: string): void => void warnings.push(message);
  const options = givenAs("", given, "an object", collect) ?? {};
  const env = readEnvironment(givenAs("env", options.env, "an object", collect) ?? process.env);
  if (env.logLevel !== undefined) {
    diag.setLogger(new DiagConsoleLogger(), {
      logLevel: env.logLevel,
      suppressOverrideMessage: true,
    });
  }
  for (const warning of [...warnings, ...env.warnings]) diag.warn(warning);

  const globals = registerContext(propagatorOf(options, env), idle);
  try {
    return startRecording(options, env, globals);
  } catch (error) {
    return notRecording(`telemetry is off: ${explainDenied(error)}`, globals);
  }
}

function startRecording(
  options: StartOptions,
  env: EnvironmentSettings,
  globals: ContextGlobals,
): Sdk {
  if (env.disabled || !(env.traces || env.metrics || env.logs)) {
    const reason = env.disabled
      ? "OTEL_SDK_DISABLED is true"
      : "OTEL_TRACES_EXPORTER, OTEL_METRICS_EXPORTER and OTEL_LOGS_EXPORTER are none";
    return notRecording(reason, globals, false);
  }
  if (!runtime.supported) {
    return notRecording(`telemetry is off: ${runtime.reason}`, globals);
  }
  if (isProvided(env)) {
    return notRecording(
      "telemetry is off: another OpenTelemetry SDK is registered already. Use one of them: leave " +
        "the other one out" +
        (process.env.OTEL_DENO === "true"
          ? ", here Deno's own: unset OTEL_DENO"
          : " (Deno's own is turned on by OTEL_DENO)"),
      globals,
    );
  }

  const warn = (message: string): void => diag.warn(message);
  const resource = buildResource({
    env,
    attributes: givenAs("resource", options.resource, "an object", warn),
    schemaUrl: givenAs("resourceSchemaUrl", options.resourceSchemaUrl, "text", warn),
    detectors: givenAs("resourceDetectors", options.resourceDetectors, "a list", warn),
  });
  const limits = givenAs("limits", options.limits, "an object", warn);
  const metricOptions = givenAs("metrics", options.metrics, "an object", warn);
  const logOptions = givenAs("logs", options.logs, "an object", warn);
  const spanLimits = resolveSpanLimits(limits, env.limits);
  const logLimits = resolveLogLimits(
    givenAs("logs.limits", logOptions?.limits, "an object", warn),
    env.logLimits,
  );
  const warnings = [...resource.warnings, ...spanLimits.warnings, ...logLimits.warnings];
  for (const warning of warnings) diag.warn(warning);
  const sizes = mergeSizes(
    givenAs("sizes", options.sizes, "an object", warn) ?? {},
    env.sizes,
    warn,
  );
  const file = pathOf("file", options.file);
  const directory = pathOf("directory", options.directory);
  const place = {
    file: file ?? (directory === undefined ? env.file : undefined),
    directory: directory ?? env.directory,
  };
  const settings = { sizes, ...guaranteesOf(options, env, place) };
  const tracing = env.traces && {
    sampler: compileSampler(
      givenAs("sampler", options.sampler, "an object with methods", warn) ?? env.sampler,
    ),
    limits: spanLimits.limits,
    idGenerator: givenAs("idGenerator", options.idGenerator, "an object with methods", warn) ??
      null,
    onStart: givenAs("onStart", options.onStart, "a function", warn) ?? null,
  };
  const measuring = env.metrics && resolveMetricOptions(metricOptions, env, warn);
  const logging = env.logs && {
    limits: logLimits.limits,
    onEmit: givenAs("logs.onEmit", logOptions?.onEmit, "a function", warn) ?? null,
    minimumSeverity: severityOf(logOptions?.minimumSeverity, warn),
  };
  // Behind everything that may throw: who made the file has to close it.
  const recorder = new Recorder(place, settings, resource, spanLimits.limits);
  // The API's own look-up costs as much as writing a record; ours is known to be the registered one.
  const { manager } = globals;
  const activeContext = manager !== null ? () => manager.active() : () => context.active();
  const tracerProvider = !tracing ? undefined : new TracerProvider({
    recorder,
    ...tracing,
    activeContext,
    runIn: manager !== null
      ? (active, run, span) => manager.with(active, run, undefined, span)
      : (active, run, span) => context.with(active, run, undefined, span),
  });
  const meterProvider = !measuring
    ? undefined
    : new MeterProvider({ recorder, activeContext, ...measuring });
  const loggerProvider = !logging
    ? undefined
    : new LoggerProvider({ recorder, activeContext, ...logging });
  const { path } = recorder.file!.mapping;
  const giveBack = registerProviders({ tracerProvider, meterProvider, loggerProvider });
  if (giveBack === null) {
    void meterProvider?.shutdown();
    // While its lock is held the name is ours.
    unlinkSync(path);
    recorder.close();
    return notRecording(
      "telemetry is off: @opentelemetry/api did not register it, and said why: another version of " +
        "it may be in use. Have one version of it",
      globals,
    );
  }
  const undoExit = endInOrder(() => meterProvider?.observeNow(), recorder);
  const shutdown = endOnce(async () => {
    running = null;
    giveBack();
    releaseContext(globals);
    await meterProvider?.shutdown();
    await loggerProvider?.shutdown();
    undoExit();
    recorder.close();
  });
  return running = {
    recording: true,
    get path() {
      return recorder.file?.mapping.path ?? path;
    },
    tracerProvider,
    meterProvider,
    loggerProvider,
    forceFlush: async (options) => {
      const timeout = flushTimeout(options);
      const deadline = performance.now() + timeout;
      await meterProvider?.collect(timeout);
      return recorder.taken(Math.max(0, deadline - performance.now()));
    },
    shutdown,
  };
}

function notRecording(reason: string, globals?: ContextGlobals, isProblem = true): Sdk {
  // It stands among lines of the application.
  if (isProblem) diag.error(`otlp-mmap: ${reason}`);
  else diag.debug(`nothing is recorded: ${reason}`);
  if (globals !== undefined) idle = globals;
  return {
    recording: false,
    reason,
    forceFlush: () => Promise.resolve(true),
    shutdown: () => {
      if (globals !== undefined) releaseContext(globals);
      return Promise.resolve();
    },
  };
}

/** What becomes of full rings, and whether files are synced. */
function guaranteesOf(
  options: StartOptions,
  env: EnvironmentSettings,
  place: Place,
): { overflow: Overflow; synced: boolean } {
  const warn = (message: string): void => diag.warn(message);
  const overflow = choiceOf("overflow", options.overflow, OVERFLOWS, warn) ?? env.overflow;
  const durability = choiceOf("durability", options.durability, DURABILITIES, warn) ??
    env.durability;
  if (durability === "process") return { overflow, synced: false };
  const reason = whyNotPower(place, overflow);
  if (reason !== null) diag.error(reason);
  return { overflow, synced: reason === null };
}

/** What is given as a path. An empty one, as of a variable that is not set, is none. */
function pathOf(option: string, given: unknown): string | undefined {
  if (given === undefined || given === null) return undefined;
  if (typeof given === "string" && given.trim() !== "") return given;
  const text = typeof given === "string" ? JSON.stringify(given) : asText(given);
  diag.warn(`start({ ${option}: ${text} }): not a path; ignored`);
  return undefined;
}

/** The least severity that is recorded; 0 for all. */
function severityOf(given: unknown, warn: (message: string) => void): number {
  if (given === undefined || given === null) return 0;
  if (typeof given === "number" && given >= 0 && given <= 24) return given;
  warn(`start({ logs.minimumSeverity: ${asText(given)} }): not a number from 0 to 24; using 0`);
  return 0;
}

const PROPAGATORS: Record<PropagatorName, () => TextMapPropagator> = {
  tracecontext: () => new W3CTraceContextPropagator(),
  baggage: () => new W3CBaggagePropagator(),
};

function propagatorOf(
  options: StartOptions,
  env: EnvironmentSettings,
): TextMapPropagator | null {
  const own = env.propagators.map((name) => PROPAGATORS[name]());
  try {
    return composed(options.propagators ?? own);
  } catch (error) {
    diag.error(
      "start({ propagators }): they can't be used; taking those of OTEL_PROPAGATORS or the default",
      error,
    );
    return composed(own);
  }
}

function composed(given: readonly TextMapPropagator[]): TextMapPropagator | null {
  const propagators = [...given];
  for (const { inject, extract } of propagators) {
    if (typeof inject !== "function" || typeof extract !== "function") {
      throw new TypeError("a propagator has inject() and extract()");
    }
  }
  return propagators.length === 0 ? null : new CompositePropagator({ propagators });
}
