/**
 * Pipelines in the process of a test, with receivers that do as the test says.
 *
 * @module
 */
import { fromBinary } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import type { Signal } from "../../lib/otlp/request.ts";
import {
  ExportLogsServiceRequestSchema,
  ExportMetricsServiceRequestSchema,
  ExportTraceServiceRequestSchema,
  type LogRecord,
  type Span,
} from "../../proto/gen/otlp_pb.ts";
import {
  AGGREGATION,
  type CollectedMetric,
  logsOf,
  metricsOf,
  pointsOf,
  spansOf,
} from "../../tests/support/collect.ts";
import { discover } from "../files/discover.ts";
import { Pipeline, type PipelineOptions } from "../pipeline/pipeline.ts";
import type { Sink } from "../pipeline/queue.ts";
import type { Outcome } from "../send/send.ts";
import { forEachSignal } from "../pipeline/signals.ts";

/** Folders that are removed when the tests of the file are done. */
export function folders(name: string): () => string {
  const root = mkdtempSync(join(tmpdir(), `otlp-mmap-${name}-`));
  after(() => rmSync(root, { recursive: true }));
  let count = 0;
  return () => {
    const path = join(root, String(++count));
    mkdirSync(path);
    return path;
  };
}

/** Receivers of all signals that can be told to be slow or to fail. */
export class TestSink {
  readonly spans: Span[] = [];
  readonly logs: LogRecord[] = [];
  readonly metrics: CollectedMetric[] = [];
  readonly sizes: number[] = [];
  /** Called for each request. */
  answer: (count: number, signal: Signal) => Promise<Outcome> | Outcome = (count) => accept(count);
  readonly sinks: Record<Signal, Sink> = forEachSignal((signal) => ({
    send: (body, count) => this.send(signal, body, count),
    abort: () => this.abort(),
    close: () => Promise.resolve(),
  }));
  private aborted: (() => void)[] = [];
  private over = false;

  private async send(signal: Signal, body: Uint8Array, count: number): Promise<Outcome> {
    if (this.over) return giveUp(count);
    const abort = new Promise<Outcome>((resolve) => {
      this.aborted.push(() => resolve(giveUp(count)));
    });
    const outcome = await Promise.race([this.answer(count, signal), abort]);
    if (outcome.accepted > 0) {
      this.sizes.push(count);
      const items = this.take(signal, body);
      assert.equal(items, count, `${signal} in the request`);
    }
    return outcome;
  }
  private take(signal: Signal, body: Uint8Array): number {
    switch (signal) {
      case "traces": {
        const spans = spansOf(fromBinary(ExportTraceServiceRequestSchema, body));
        return this.spans.push(...spans.map(({ span }) => span)), spans.length;
      }
      case "logs": {
        const logs = logsOf(fromBinary(ExportLogsServiceRequestSchema, body));
        return this.logs.push(...logs.map(({ log }) => log)), logs.length;
      }
      case "metrics": {
        const metrics = metricsOf(fromBinary(ExportMetricsServiceRequestSchema, body));
        this.metrics.push(...metrics);
        return metrics.reduce((sum, { metric }) => sum + pointsOf(metric).length, 0);
      }
    }
  }
  private abort(): void {
    this.over = true;
    for (const each of this.aborted) each();
    this.aborted = [];
  }
  get bodies(): string[] {
    return this.logs.map(({ body }) => String(body?.value.value));
  }
  get names(): string[] {
    return this.spans.map(({ name }) => name).sort();
  }
}

/** The backend took everything. */
export function accept(count: number): Outcome {
  return { accepted: count, rejected: 0, dropped: 0 };
}

/** Nobody could be reached, for too long. */
export function giveUp(count: number): Outcome {
  return { accepted: 0, rejected: 0, dropped: count, gaveUp: true };
}

/** A pipeline that runs. */
export interface Run {
  readonly pipeline: Pipeline;
  readonly sink: TestSink;
  readonly lines: string[];
  readonly ended: Promise<number>;
}

/** Starts a pipeline. */
export function run(
  paths: string[],
  options: Partial<PipelineOptions> = {},
  sink = new TestSink(),
): Run {
  const lines: string[] = [];
  const log = (level: string, message: string): void => {
    if (level !== "debug") lines.push(`${level} ${message}`);
  };
  const discovery = discover(paths, {}, { log });
  const pipeline = new Pipeline({
    scan: discovery.scan,
    sinks: sink.sinks,
    batchSize: 100,
    flushIntervalMs: 10,
    metricsIntervalMs: 20,
    aggregation: AGGREGATION,
    once: false,
    keep: false,
    log,
    ...options,
  });
  return { pipeline, sink, lines, ended: pipeline.run() };
}

/** Runs to the end of what is there. */
export async function once(
  paths: string[],
  sink = new TestSink(),
  options: Partial<PipelineOptions> = {},
): Promise<Run & { code: number }> {
  const started = run(paths, { once: true, ...options }, sink);
  return { ...started, code: await started.ended };
}

/**
 * Waits until something is so; fails where it never is, and says what is so instead if told how.
 *
 * @param options `timeout` in ms is less than a test has where it names none.
 */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  { timeout = 50_000, state }: { timeout?: number; state?: () => unknown } = {},
): Promise<void> {
  for (const deadline = performance.now() + timeout; !await condition();) {
    if (performance.now() > deadline) {
      assert.fail(`never: ${what}${state === undefined ? "" : `, but ${state()}`}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
