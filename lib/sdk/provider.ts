/**
 * Hands out tracers.
 *
 * @module
 */
import type {
  Tracer as ApiTracer,
  TracerOptions,
  TracerProvider as ApiProvider,
} from "@opentelemetry/api";
import { scopeOf } from "./scope.ts";
import { Tracer, type TracerSettings } from "./tracer.ts";

/** The tracer provider that `start()` makes and registers. */
export class TracerProvider implements ApiProvider {
  private readonly settings: TracerSettings;
  private readonly tracers = new Map<string, Tracer>();

  constructor(settings: Omit<TracerSettings, "isShutDown">) {
    this.settings = { ...settings, isShutDown: false };
  }

  /** The tracer of a name, version and schema URL: the same one for the same three. */
  getTracer(name: string, version?: string, options?: TracerOptions): ApiTracer {
    const scope = scopeOf("getTracer", name, version, options);
    const key = `${scope.name}\0${scope.version ?? ""}\0${scope.schemaUrl ?? ""}`;
    let tracer = this.tracers.get(key);
    if (tracer === undefined) {
      tracer = new Tracer(this.settings, scope);
      this.settings.recorder.follow(tracer);
      this.tracers.set(key, tracer);
    }
    return tracer;
  }

  /** Resolves true when the collector has taken all that is written now; see `Sdk.forceFlush`. */
  forceFlush(options?: { timeout?: number }): Promise<boolean> {
    return this.settings.recorder.taken(flushTimeout(options));
  }

  /** Spans started afterwards go nowhere. The file belongs to the SDK, which ends it. */
  shutdown(): Promise<void> {
    this.settings.isShutDown = true;
    return Promise.resolve();
  }
}

/** How long `forceFlush` waits when nothing else is said, ms. */
const DEFAULT_FLUSH_MS = 5000;

/** The timeout that `forceFlush` was given, ms; the default for what is none. Never throws. */
export function flushTimeout(options: unknown): number {
  try {
    const { timeout } = options as { timeout?: unknown };
    if (typeof timeout === "number" && timeout >= 0) return timeout;
  } catch {
    // Nothing was given, or nothing that can be read.
  }
  return DEFAULT_FLUSH_MS;
}
