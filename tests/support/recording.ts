/**
 * The SDK without its globals: a recorder whose file a test can reach.
 *
 * @module
 */
import { ROOT_CONTEXT, type Tracer } from "@opentelemetry/api";
import type { FileSizes } from "../../lib/file/write.ts";
import { readEnvironment } from "../../lib/sdk/config.ts";
import { DEFAULT_SPAN_LIMITS } from "../../lib/sdk/limits.ts";
import type { Place } from "../../lib/file/place.ts";
import { TracerProvider } from "../../lib/sdk/provider.ts";
import { Recorder } from "../../lib/sdk/recorder.ts";
import { buildResource } from "../../lib/sdk/resource.ts";
import { AlwaysOnSampler, compileSampler } from "../../lib/sdk/sampler.ts";

/** A recorder and a tracer that writes to it. */
export interface Recording {
  readonly recorder: Recorder;
  readonly provider: TracerProvider;
  readonly tracer: Tracer;
}

/** Starts recording in `place`; every span is sampled and a root span. */
export function record(place: Place, sizes: FileSizes = {}): Recording {
  const resource = buildResource({
    env: readEnvironment({ OTEL_SERVICE_NAME: "test" }),
    attributes: undefined,
    detectors: undefined,
  });
  const recorder = new Recorder(place, { sizes }, resource, DEFAULT_SPAN_LIMITS);
  const provider = new TracerProvider({
    recorder,
    sampler: compileSampler(new AlwaysOnSampler()),
    limits: DEFAULT_SPAN_LIMITS,
    idGenerator: null,
    onStart: null,
    activeContext: () => ROOT_CONTEXT,
    runIn: (_, run, span) => run(span),
  });
  return { recorder, provider, tracer: provider.getTracer("scope", "1.0") };
}
