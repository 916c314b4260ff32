/**
 * The API's globals: taken together or not at all.
 *
 * @module
 */
import {
  context,
  type ContextManager,
  logs,
  type MeterProvider,
  metrics,
  propagation,
  type TextMapPropagator,
  trace,
  type TracerProvider,
} from "@opentelemetry/api";
import { logs as logsApi } from "@opentelemetry/api-logs";
import type { LoggerProvider } from "./logger-provider.ts";

/** Where context is kept and how it travels. */
export interface ContextGlobals {
  /** False when somebody else's context manager was there first. */
  readonly ownsContext: boolean;
  /** Gives back what was taken, once: afterwards it may be the next SDK's. */
  release(): void;
}

/** Registers a context manager and a propagator; either may be somebody else's already. */
export function registerContext(
  manager: ContextManager,
  propagator: TextMapPropagator | null,
): ContextGlobals {
  const ownsContext = context.setGlobalContextManager(manager);
  const taken: Array<() => void> = [];
  if (ownsContext) taken.push(() => context.disable());
  if (propagator !== null && propagation.setGlobalPropagator(propagator)) {
    taken.push(() => propagation.disable());
  }
  return { ownsContext, release: () => giveBack(taken) };
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
 * Registers the providers. Returns what gives the globals back, once, or null when another SDK has one
 * of them: then nothing is registered.
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
