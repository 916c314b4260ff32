/**
 * What the programs of tests/testdata that record all three signals begin with: the SDK, and a journal
 * of what they did.
 *
 * @module
 */
import { type Counter, metrics, trace, type Tracer } from "@opentelemetry/api";
import { type Logger, logs } from "@opentelemetry/api-logs";
import { AlwaysOnSampler } from "../../lib/sdk/sampler.ts";
import { type Sdk, start, type StartOptions } from "../../lib/sdk/start.ts";
import { Journal } from "./journal.ts";

/** Who writes, and where. */
export interface WriterOptions extends Pick<StartOptions, "env" | "sizes"> {
  /** Of its file. */
  readonly directory: string;
  readonly journal: string;
  /** The attribute `writer` of its resource. */
  readonly name: string;
  /** The name of its scope. */
  readonly scope: string;
}

/** What it records with. */
export interface Writer {
  readonly sdk: Sdk;
  readonly journal: Journal;
  readonly tracer: Tracer;
  readonly logger: Logger;
  /** Of calls. */
  readonly counter: Counter;
}

/** Starts the SDK, which must record, and opens the journal. */
export function startWriter(options: WriterOptions): Writer {
  const { directory, journal, name, scope, env = {}, sizes } = options;
  const resource = { writer: name };
  const sdk = start({ env, directory, resource, sampler: new AlwaysOnSampler(), sizes });
  if (!sdk.recording) throw new Error(sdk.reason);
  return {
    sdk,
    journal: Journal.open(journal),
    tracer: trace.getTracer(scope),
    logger: logs.getLogger(scope),
    counter: metrics.getMeter(scope).createCounter("calls"),
  };
}
