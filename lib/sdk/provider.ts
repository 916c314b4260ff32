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
import { Tracer, type TracerSettings } from "./tracer.ts";

/** The tracer provider that `start()` makes and registers. */
export class TracerProvider implements ApiProvider {
  private readonly settings: TracerSettings;
  private readonly tracers = new Map<string, Tracer>();

  constructor(settings: TracerSettings) {
    this.settings = settings;
  }

  /** The tracer of a name, version and schema URL: the same one for the same three. */
  getTracer(name: string, version?: string, options?: TracerOptions): ApiTracer {
    const key = `${name}\0${version ?? ""}\0${options?.schemaUrl ?? ""}`;
    let tracer = this.tracers.get(key);
    if (tracer === undefined) {
      const scope = { name: String(name ?? ""), version, schemaUrl: options?.schemaUrl };
      tracer = new Tracer(this.settings, scope);
      this.settings.recorder.follow(tracer);
      this.tracers.set(key, tracer);
    }
    return tracer;
  }

  /** Resolves true when the collector has taken all that is written now; see `Sdk.forceFlush`. */
  forceFlush(options?: { timeout?: number }): Promise<boolean> {
    return this.settings.recorder.taken(options?.timeout ?? DEFAULT_FLUSH_MS);
  }

  /** Ends the file; spans recorded afterwards go nowhere. */
  shutdown(): Promise<void> {
    this.settings.recorder.close();
    return Promise.resolve();
  }
}

/** How long `forceFlush` waits when nothing else is said, ms. */
export const DEFAULT_FLUSH_MS = 5000;
