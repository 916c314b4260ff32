/**
 * For tests: records what the code under test does, and gives it back as plain objects, as a backend
 * would get it. Nothing is left behind, not even by a test that is killed: the file that everything
 * goes through has no name any more when the first test begins.
 *
 * ```ts
 * import { trace } from "@opentelemetry/api";
 * import { startTesting } from "otlp-mmap/testing";
 *
 * const telemetry = startTesting();
 * trace.getTracer("shop").startActiveSpan("buy", (span) => {
 *   span.setAttribute("order.items", 3).end();
 * });
 * const [span] = telemetry.spans();
 * console.log(span.name, span.attributes["order.items"]); // buy 3
 * await telemetry.stop();
 * ```
 *
 * @module
 */
import { fromBinary } from "@bufbuild/protobuf";
import { Buffer } from "node:buffer";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { clearInterval, setInterval } from "node:timers";
import { type Intake, openDrain } from "./collector/pipeline/drain.ts";
import { isIdle, newRoundFile, round, type RoundProcess } from "./collector/pipeline/round.ts";
import { readExtension, readLoss } from "./lib/file/extension.ts";
import { readGeometry } from "./lib/file/geometry.ts";
import { MappedFile } from "./lib/file/mapped.ts";
import { LOSS_NAMES, RING_NAMES } from "./lib/format/layout.ts";
import { Aggregator } from "./lib/metrics/aggregate.ts";
import { Assembler } from "./lib/otlp/assemble.ts";
import type { Batch } from "./lib/otlp/batch.ts";
import { PairList } from "./lib/otlp/source.ts";
import { release } from "./lib/ring/read.ts";
import { type Sdk, start, type StartOptions } from "./lib/sdk/start.ts";
import {
  AggregationTemporality,
  type AnyValue,
  ExportLogsServiceRequestSchema,
  ExportMetricsServiceRequestSchema,
  ExportTraceServiceRequestSchema,
  type InstrumentationScope,
  type KeyValue,
  type Metric,
  type Span,
} from "./proto/gen/otlp_pb.ts";

/** A value as it was recorded. Integers beyond 2^53 are bigints, an empty value is null. */
export type TestValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | Uint8Array
  | TestValue[]
  | { [key: string]: TestValue };

/** Attributes by key. */
export type TestAttributes = { [key: string]: TestValue };

/** The instrumentation scope that recorded. */
export interface TestScope {
  readonly name: string;
  readonly version: string;
  readonly attributes: TestAttributes;
}

/** A span that ended. */
export interface TestSpan {
  readonly name: string;
  readonly kind: "internal" | "server" | "client" | "producer" | "consumer";
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits. */
  readonly spanId: string;
  /** 16 hexadecimal digits, "" for a root span. */
  readonly parentSpanId: string;
  /** W3C tracestate. */
  readonly traceState: string;
  /** ns since the Unix epoch. */
  readonly start: bigint;
  /** ns since the Unix epoch. */
  readonly end: bigint;
  readonly attributes: TestAttributes;
  readonly events: readonly {
    readonly name: string;
    /** ns since the Unix epoch. */
    readonly time: bigint;
    readonly attributes: TestAttributes;
  }[];
  readonly links: readonly {
    readonly traceId: string;
    readonly spanId: string;
    readonly attributes: TestAttributes;
  }[];
  readonly status: { readonly code: "unset" | "ok" | "error"; readonly message: string };
  readonly scope: TestScope;
  readonly resource: TestAttributes;
}

/** A log record. */
export interface TestLog {
  readonly body: TestValue;
  /** OTLP's severity number, 1 to 24; 0 for none. */
  readonly severityNumber: number;
  readonly severityText: string;
  readonly eventName: string;
  /** ns since the Unix epoch. */
  readonly time: bigint;
  /** ns since the Unix epoch. */
  readonly observedTime: bigint;
  /** 32 and 16 hexadecimal digits, "" outside spans. */
  readonly traceId: string;
  readonly spanId: string;
  readonly attributes: TestAttributes;
  readonly scope: TestScope;
  readonly resource: TestAttributes;
}

/** What an attribute set of a metric came to. */
export interface TestPoint {
  readonly attributes: TestAttributes;
  /** Of sums and gauges. */
  readonly value?: number | bigint;
  /** Of histograms: how many values, their sum, the least and the greatest. */
  readonly count?: number;
  readonly sum?: number;
  readonly min?: number;
  readonly max?: number;
  /** Of histograms with explicit boundaries: values in each bucket, one more than boundaries. */
  readonly bucketCounts?: readonly number[];
  readonly boundaries?: readonly number[];
}

/** A metric. */
export interface TestMetric {
  readonly name: string;
  readonly description: string;
  readonly unit: string;
  readonly kind: "sum" | "gauge" | "histogram" | "exponential_histogram";
  readonly isMonotonic: boolean;
  readonly temporality: "cumulative" | "delta" | "none";
  readonly points: readonly TestPoint[];
  readonly scope: TestScope;
  readonly resource: TestAttributes;
}

/** Options of `start()`, but for the file, which is the helper's. The environment is not looked at. */
export type TestingOptions = Omit<StartOptions, "file" | "directory">;

/** Rings for more than a test records between two looks at it. */
const SIZES = {
  events: { slots: 8192, slotBytes: 2048 },
  spans: { slots: 32_768, slotBytes: 1024 },
  measurements: { slots: 16_384, slotBytes: 512 },
};
/** What is recorded is taken this often, so that rings do not fill. */
const TAKE_MS = 20;

const AGGREGATION = {
  temporality: "definition",
  histograms: "definition",
  exemplars: "trace_based",
  cardinalityLimit: 2000,
  maxSeries: 1_000_000,
  views: [],
} as const;

/**
 * Starts recording for tests; see the example above. One at a time in a thread, and not beside another SDK.
 *
 * @throws {Error} when nothing can be recorded: another SDK is registered, `--allow-ffi` is missing, …
 */
export function startTesting(options: TestingOptions = {}): Telemetry {
  const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-testing-"));
  let sdk: Sdk | undefined;
  try {
    // What is in the directory of the file is removed, so it is never one that was given.
    sdk = start({ env: {}, sizes: SIZES, ...options, file: undefined, directory });
    if (!sdk.recording) throw new Error(`nothing can be recorded: ${sdk.reason}`);
    return new Telemetry(sdk);
  } catch (error) {
    // Nobody else has it, to make it give the API's globals back.
    void sdk?.shutdown();
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }
}

/** What was recorded since `startTesting`, or since `reset`. */
export class Telemetry {
  /** The SDK under test. */
  readonly sdk: Sdk;
  private readonly directory: string;
  /** One, and those that followed when a dictionary was full. */
  private readonly files: MappedFile[] = [];
  private readonly process: RoundProcess;
  private readonly assembler: Assembler;
  private aggregator: Aggregator;
  private readonly timer: ReturnType<typeof setInterval>;
  private ended: TestSpan[] = [];
  private emitted: TestLog[] = [];
  private isStopped = false;

  /** Use `startTesting`. */
  constructor(sdk: Sdk) {
    this.sdk = sdk;
    this.directory = dirname(sdk.path!);
    this.assembler = new Assembler((batch) => {
      // Before a batch has the size of a request.
      if (batch.items >= 1000) this.seal(batch);
    });
    const state = this.assembler.addProcess();
    this.process = { state, files: [], waiting: new PairList() };
    this.openFiles();
    this.aggregator = this.createAggregator();
    this.timer = setInterval(() => this.take(), TAKE_MS);
    this.timer.unref();
  }

  /**
   * The spans that ended, in the order in which they did.
   *
   * @throws {Error} when records did not fit the rings
   */
  spans(): TestSpan[] {
    this.settle();
    return [...this.ended];
  }

  /**
   * The log records, in the order in which they were emitted.
   *
   * @throws {Error} when records did not fit the rings
   */
  logs(): TestLog[] {
    this.settle();
    return [...this.emitted];
  }

  /**
   * The metrics as of now, after the callbacks of observable instruments were asked.
   *
   * @throws {Error} when records did not fit the rings
   */
  async metrics(): Promise<TestMetric[]> {
    await this.sdk.meterProvider?.collect();
    this.settle();
    const metrics: TestMetric[] = [];
    const now = BigInt(Date.now()) * 1_000_000n;
    const { index } = this.process.state;
    const [low, high] = [Number(now & 0xffffffffn) | 0, Number(now >> 32n)];
    this.aggregator.collect(index, low, high, (request) => {
      const body = request.buffer.slice(0, request.length);
      this.aggregator.recycle(request);
      metrics.push(...metricsOf(body));
    });
    return metrics;
  }

  /** Forgets what ended, was emitted and was measured so far. Spans that are open go on. */
  reset(): void {
    this.take();
    this.settle();
    this.ended = [];
    this.emitted = [];
    this.aggregator = this.createAggregator();
  }

  /** Ends recording and gives the API's globals back. What was recorded can still be looked at. */
  async stop(): Promise<void> {
    clearInterval(this.timer);
    await this.sdk.shutdown();
    try {
      this.settle();
    } finally {
      for (const file of this.files) file.close();
      this.isStopped = true;
    }
  }

  /** Makes `await using telemetry = startTesting()` work. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  private createAggregator(): Aggregator {
    const { assembler } = this;
    const aggregator = new Aggregator((source, ref) => assembler.scopeOf(source, ref), AGGREGATION);
    aggregator.addProcess(this.process.state.index);
    return aggregator;
  }

  /** Opens what was made since the last look, and takes its name away: mapped memory needs none. */
  private openFiles(): void {
    if (!existsSync(this.directory)) return;
    const added = readdirSync(this.directory).map((name) => {
      const path = join(this.directory, name);
      const file = MappedFile.open(path);
      const geometry = readGeometry(path, file.u8, file.size);
      if ("unfinished" in geometry) throw new Error(geometry.unfinished);
      return { file, geometry };
    });
    const generationOf = ({ file, geometry }: typeof added[number]): number =>
      readExtension(file, geometry.rings[0].offset)?.generation ?? 0;
    for (const { file, geometry } of added.sort((a, b) => generationOf(a) - generationOf(b))) {
      const { state } = this.process;
      const drain = openDrain(this.files.push(file), file, geometry, this.assembler, state);
      this.process.files.push(newRoundFile(drain));
    }
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** Takes what is in the rings. */
  private take(): void {
    if (this.isStopped) return;
    this.openFiles();
    const blocked = { traces: false, metrics: false, logs: false };
    const intake: Intake = { assembler: this.assembler, aggregator: this.aggregator, blocked };
    while (round(this.process, intake) > 0 || !isIdle(this.process));
    for (const { drain } of this.process.files) {
      for (const ring of drain.rings) release(ring, ring.sequence);
    }
  }

  private settle(): void {
    this.take();
    this.seal(this.assembler.spans);
    this.seal(this.assembler.logs);
    if (!this.isStopped) this.complain();
  }

  private seal(batch: Batch): void {
    const request = batch.seal();
    if (request === null) return;
    const body = request.buffer.slice(0, request.length);
    batch.recycle(request);
    if (batch.signal === "traces") this.ended.push(...spansOf(body));
    else this.emitted.push(...logsOf(body));
  }

  /** A test must not pass because something was lost. */
  private complain(): void {
    const losses: string[] = [];
    const advice = new Set<string>();
    for (const [ring, name] of RING_NAMES.entries()) {
      for (const [reason, why] of LOSS_NAMES.entries()) {
        // Cut records are there, and say so themselves.
        if (why === "truncated") continue;
        const count = this.files.reduce((sum, file) => sum + readLoss(file, ring, reason), 0);
        if (count === 0) continue;
        losses.push(`${count} of ${name} (${why})`);
        advice.add(ADVICE[why]);
      }
    }
    if (losses.length === 0) return;
    throw new Error(`records were refused: ${losses.join(", ")}. ${[...advice].join(". ")}`);
  }
}

const LARGER_RINGS =
  "Look at what was recorded more often, or use larger rings: startTesting({ sizes })";
/** What to do, by why records were refused. */
const ADVICE: Readonly<Record<Exclude<(typeof LOSS_NAMES)[number], "truncated">, string>> = {
  ring_full: LARGER_RINGS,
  reserve: LARGER_RINGS,
  dictionary_full:
    "Look at what was recorded more often, use fewer keys, or startTesting({ sizes: { dictionaryBytes } })",
  encode: "What was recorded can't be: a measurement that is no number, a getter that throws, a " +
    "record made while another one is read. diag.setLogger() of @opentelemetry/api shows what is said of it",
};

// --------------------------------------------------------------------------------- OTLP as plain objects

const KINDS = ["internal", "internal", "server", "client", "producer", "consumer"] as const;
const STATUS_CODES = ["unset", "ok", "error"] as const;

function spansOf(body: Uint8Array): TestSpan[] {
  const { resourceSpans } = fromBinary(ExportTraceServiceRequestSchema, body);
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ scope, spans }) =>
      spans.map((span) => spanOf(span, scopeOf(scope), attributesOf(resource?.attributes)))
    )
  ).sort((a, b) => a.end < b.end ? -1 : a.end > b.end ? 1 : 0);
}

function spanOf(span: Span, scope: TestScope, resource: TestAttributes): TestSpan {
  return {
    name: span.name,
    kind: KINDS[span.kind] ?? "internal",
    traceId: hex(span.traceId),
    spanId: hex(span.spanId),
    parentSpanId: hex(span.parentSpanId),
    traceState: span.traceState,
    start: span.startTimeUnixNano,
    end: span.endTimeUnixNano,
    attributes: attributesOf(span.attributes),
    events: span.events.map(({ name, timeUnixNano, attributes }) => ({
      name,
      time: timeUnixNano,
      attributes: attributesOf(attributes),
    })),
    links: span.links.map(({ traceId, spanId, attributes }) => ({
      traceId: hex(traceId),
      spanId: hex(spanId),
      attributes: attributesOf(attributes),
    })),
    status: {
      code: STATUS_CODES[span.status?.code ?? 0] ?? "unset",
      message: span.status?.message ?? "",
    },
    scope,
    resource,
  };
}

function logsOf(body: Uint8Array): TestLog[] {
  const { resourceLogs } = fromBinary(ExportLogsServiceRequestSchema, body);
  return resourceLogs.flatMap(({ resource, scopeLogs }) =>
    scopeLogs.flatMap(({ scope, logRecords }) =>
      logRecords.map((log) => ({
        body: valueOf(log.body),
        severityNumber: log.severityNumber,
        severityText: log.severityText,
        eventName: log.eventName,
        time: log.timeUnixNano,
        observedTime: log.observedTimeUnixNano,
        traceId: hex(log.traceId),
        spanId: hex(log.spanId),
        attributes: attributesOf(log.attributes),
        scope: scopeOf(scope),
        resource: attributesOf(resource?.attributes),
      }))
    )
  ).sort((a, b) => a.observedTime < b.observedTime ? -1 : a.observedTime > b.observedTime ? 1 : 0);
}

function metricsOf(body: Uint8Array): TestMetric[] {
  const { resourceMetrics } = fromBinary(ExportMetricsServiceRequestSchema, body);
  return resourceMetrics.flatMap(({ resource, scopeMetrics }) =>
    scopeMetrics.flatMap(({ scope, metrics }) =>
      metrics.map((metric) => ({
        name: metric.name,
        description: metric.description,
        unit: metric.unit,
        ...dataOf(metric),
        scope: scopeOf(scope),
        resource: attributesOf(resource?.attributes),
      }))
    )
  );
}

function dataOf(
  { data }: Metric,
): Pick<TestMetric, "kind" | "isMonotonic" | "temporality" | "points"> {
  switch (data.case) {
    case "sum":
    case "gauge":
      return {
        kind: data.case,
        isMonotonic: data.case === "sum" && data.value.isMonotonic,
        temporality: data.case === "sum" ? temporalityOf(data.value) : "none",
        points: data.value.dataPoints.map(({ attributes, value }) => ({
          attributes: attributesOf(attributes),
          value: typeof value.value === "bigint" ? integer(value.value) : value.value ?? 0,
        })),
      };
    case "histogram":
      return {
        kind: "histogram",
        isMonotonic: false,
        temporality: temporalityOf(data.value),
        points: data.value.dataPoints.map((point) => ({
          ...distributionOf(point),
          bucketCounts: point.bucketCounts.map(Number),
          boundaries: point.explicitBounds,
        })),
      };
    case "exponentialHistogram":
      return {
        kind: "exponential_histogram",
        isMonotonic: false,
        temporality: temporalityOf(data.value),
        points: data.value.dataPoints.map(distributionOf),
      };
  }
  return { kind: "gauge", isMonotonic: false, temporality: "none", points: [] };
}

function distributionOf(
  { attributes, count, sum, min, max }: {
    attributes: KeyValue[];
    count: bigint;
    sum?: number;
    min?: number;
    max?: number;
  },
): TestPoint {
  return { attributes: attributesOf(attributes), count: Number(count), sum, min, max };
}

function temporalityOf(
  { aggregationTemporality }: { aggregationTemporality: AggregationTemporality },
): "delta" | "cumulative" {
  return aggregationTemporality === AggregationTemporality.DELTA ? "delta" : "cumulative";
}

function scopeOf(scope: InstrumentationScope | undefined): TestScope {
  const { name = "", version = "", attributes } = scope ?? {};
  return { name, version, attributes: attributesOf(attributes) };
}

function attributesOf(attributes: readonly KeyValue[] = []): TestAttributes {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, valueOf(value)]));
}

function valueOf(any: AnyValue | undefined): TestValue {
  const content = any?.value;
  if (content === undefined) return null;
  switch (content.case) {
    case undefined:
      return null;
    case "intValue":
      return integer(content.value);
    case "arrayValue":
      return content.value.values.map(valueOf);
    case "kvlistValue":
      return attributesOf(content.value.values);
    default:
      return content.value;
  }
}

function integer(value: bigint): number | bigint {
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
