/**
 * The API's globals: taken together or not at all.
 *
 * @module
 */
import {
  context,
  logs,
  type MeterProvider,
  metrics,
  propagation,
  type TextMapPropagator,
  trace,
  type TracerProvider,
} from "@opentelemetry/api";
import { logs as logsApi } from "@opentelemetry/api-logs";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import type { LoggerProvider } from "./logger-provider.ts";

/** Where the API keeps what was registered, for all its copies and versions that go together. */
const API_KEY = Symbol.for("opentelemetry.js.api.1");

/** What is registered. Asked first, since the API says that something is as an error with a stack. */
function registered(kind: "context" | "propagation" | "trace" | "metrics" | "logs"): unknown {
  return (globalThis as { [API_KEY]?: Record<string, unknown> })[API_KEY]?.[kind];
}

/** What an SDK has of where context is kept and how it travels: null where that is somebody else's. */
export interface ContextGlobals {
  manager: AsyncLocalStorageContextManager | null;
  propagator: TextMapPropagator | null;
}

/**
 * Registers a context manager and a propagator; either may be somebody else's already. What `earlier`
 * has is taken over from it: the context of what is under way stays, which another manager would not know.
 */
export function registerContext(
  propagator: TextMapPropagator | null,
  earlier: ContextGlobals,
): ContextGlobals {
  let { manager } = earlier;
  earlier.manager = null;
  releaseContext(earlier);
  if (manager === null || registered("context") !== manager) {
    manager = new AsyncLocalStorageContextManager().enable();
    if (registered("context") !== undefined || !context.setGlobalContextManager(manager)) {
      manager = null;
    }
  }
  const isOurs = propagator !== null && registered("propagation") === undefined &&
    propagation.setGlobalPropagator(propagator);
  return { manager, propagator: isOurs ? propagator : null };
}

/** Gives back what there is, once: afterwards it may be the next SDK's. */
export function releaseContext(globals: ContextGlobals): void {
  const { manager, propagator } = globals;
  globals.manager = globals.propagator = null;
  if (manager !== null && registered("context") === manager) context.disable();
  if (propagator !== null && registered("propagation") === propagator) propagation.disable();
}

/** Is there a provider of one of the signals that are to be recorded? */
export function isProvided(
  wanted: { readonly traces: boolean; readonly metrics: boolean; readonly logs: boolean },
): boolean {
  return wanted.traces && registered("trace") !== undefined ||
    wanted.metrics && registered("metrics") !== undefined ||
    wanted.logs && registered("logs") !== undefined;
}

function giveBack(taken: Array<() => void>): void {
  for (const give of taken.splice(0)) give();
}

/** The providers of the signals that are recorded. */
export interface Providers {
  readonly tracerProvider?: TracerProvider;
  readonly meterProvider?: MeterProvider;
  readonly loggerProvider?: LoggerProvider;
}

/**
 * Registers the providers. Returns what gives the globals back, once, or null when the API does not take
 * all of them: then nothing is registered.
 */
export function registerProviders(providers: Providers): (() => void) | null {
  const { tracerProvider, meterProvider, loggerProvider } = providers;
  const taken: Array<() => void> = [];
  const take = (isTaken: boolean, give: () => void): boolean => {
    if (isTaken) taken.push(give);
    return isTaken;
  };
  const complete = (tracerProvider === undefined ||
    take(trace.setGlobalTracerProvider(tracerProvider), () => trace.disable())) &&
    (meterProvider === undefined ||
      take(metrics.setGlobalMeterProvider(meterProvider), () => metrics.disable())) &&
    (loggerProvider === undefined ||
      take(logs.setGlobalLoggerProvider(loggerProvider), () => logs.disable()));
  if (!complete) {
    giveBack(taken);
    return null;
  }
  if (loggerProvider !== undefined) {
    // The older package has a global of its own, which it may share with another version of itself.
    take(
      logsApi.setGlobalLoggerProvider(loggerProvider) === loggerProvider,
      () => logsApi.disable(),
    );
  }
  return () => giveBack(taken);
}
