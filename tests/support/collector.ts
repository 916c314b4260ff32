/**
 * The collector as its users run it: a process of its own that sends to a receiver of the test.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { fromBinary } from "@bufbuild/protobuf";
import { ROOT } from "../../tools/runtimes.ts";
import {
  type AnyValue,
  ExportLogsServiceRequestSchema,
  ExportMetricsServiceRequestSchema,
  ExportTraceServiceRequestSchema,
  type KeyValue,
} from "../../proto/gen/otlp_pb.ts";
import { type Sink, startSink } from "../peers/sink.ts";
import {
  type CollectedLog,
  type CollectedMetric,
  type CollectedSpan,
  logsOf,
  metricsOf,
  spansOf,
} from "./collect.ts";
import { launchOf, ownRuntime, type RuntimeName } from "./runtimes.ts";

/** How a process ended. */
export interface End {
  readonly code: number | null;
  readonly signal: string | null;
}

/** A process whose output is kept. */
export interface Observed {
  readonly child: ChildProcess;
  /** Standard output and standard error so far, in one. */
  text(): string;
  /** Once it has ended and its output is complete. */
  readonly ended: Promise<End>;
  /** Resolves once it has written this; rejects when it ends before, or after `timeout` ms. */
  wrote(pattern: RegExp, timeout?: number): Promise<void>;
  /** Sends a signal (by default SIGTERM) and waits for the end. */
  stop(signal?: "SIGTERM" | "SIGKILL" | "SIGINT"): Promise<End>;
}

/** What to add to a command line. */
export interface ObserveOptions {
  /** Flags of the runtime. */
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Runs the command line through `sh -c` after this, for example `ulimit -v 4000000`. */
  readonly shell?: string;
}

/** Starts a program of the repository, named from its root. */
export function observe(
  runtime: RuntimeName,
  file: string,
  args: readonly string[],
  options: ObserveOptions = {},
): Observed {
  const launch = launchOf(runtime, join(ROOT, file), args, options);
  let { command, args: rest } = launch;
  if (options.shell !== undefined) {
    rest = ["-c", `${options.shell} && exec "$0" "$@"`, command, ...rest];
    command = "sh";
  }
  const child = spawn(command, rest, {
    stdio: ["ignore", "pipe", "pipe"],
    cwd: launch.cwd,
    env: launch.env,
  });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (piece: string) => text += piece);
  child.stderr.setEncoding("utf8").on("data", (piece: string) => text += piece);
  let end: End | undefined;
  const ended = new Promise<End>((resolve) => {
    child.once("close", (code, signal) => resolve(end = { code, signal }));
  });
  return {
    child,
    text: () => text,
    ended,
    async wrote(pattern, timeout = 20_000) {
      for (const deadline = Date.now() + timeout; !pattern.test(text);) {
        if (end !== undefined || Date.now() > deadline) {
          throw new Error(`${file} ${end ? "ended" : "took too long"} before ${pattern}: ${text}`);
        }
        await new Promise((wake) => setTimeout(wake, 5));
      }
    },
    async stop(signal = "SIGTERM") {
      // Not by child.kill: Deno then takes the signal for the cause of the end, whatever it was.
      if (end === undefined && child.exitCode === null) process.kill(child.pid!, signal);
      return await ended;
    },
  };
}

/** Starts the collector. */
export function startCollector(
  args: readonly string[],
  runtime: RuntimeName = ownRuntime,
): Observed {
  return observe(runtime, "collector/main.ts", ["collect", ...args]);
}

/** What the collector delivered of files in which nothing is going on any more. */
export interface Collected {
  readonly spans: CollectedSpan[];
  readonly logs: CollectedLog[];
  readonly metrics: CollectedMetric[];
  /** What it wrote. */
  readonly text: string;
}

/**
 * Runs the collector with `--once` on files and directories.
 *
 * @throws {Error} when it ends with anything but 0
 */
export async function collectOnce(
  paths: readonly string[],
  runtime: RuntimeName = ownRuntime,
): Promise<Collected> {
  const sink = await startSink();
  try {
    const collector = startCollector(["--once", "--endpoint", sink.url, ...paths], runtime);
    const { code, signal } = await collector.ended;
    if (code !== 0) {
      throw new Error(`the collector ended with ${signal ?? code}: ${collector.text()}`);
    }
    return {
      spans: receivedBy(sink),
      logs: logsReceivedBy(sink),
      metrics: metricsReceivedBy(sink),
      text: collector.text(),
    };
  } finally {
    await sink.stop();
  }
}

/** Every span a receiver was sent, in the order of arrival. */
export function receivedBy(sink: Pick<Sink, "bodies">): CollectedSpan[] {
  return sink.bodies.flatMap((body) => spansOf(fromBinary(ExportTraceServiceRequestSchema, body)));
}

/** Every log record that a receiver was sent. */
export function logsReceivedBy(sink: Pick<Sink, "logs">): CollectedLog[] {
  return sink.logs.flatMap((body) => logsOf(fromBinary(ExportLogsServiceRequestSchema, body)));
}

/** Every metric that a receiver was sent, as often as it was. */
export function metricsReceivedBy(sink: Pick<Sink, "metrics">): CollectedMetric[] {
  return sink.metrics.flatMap((body) =>
    metricsOf(fromBinary(ExportMetricsServiceRequestSchema, body))
  );
}

/** Resolves with all spans once there are `count` of them; rejects after `timeout` ms. */
export async function waitForSpans(
  sink: Sink,
  count: number,
  timeout = 20_000,
): Promise<CollectedSpan[]> {
  for (const deadline = Date.now() + timeout;;) {
    const spans = receivedBy(sink);
    if (spans.length >= count) return spans;
    if (Date.now() > deadline) throw new Error(`${spans.length} of ${count} spans came`);
    await new Promise((wake) => setTimeout(wake, 20));
  }
}

/** A value as a test writes it: integers as bigint, doubles as number. */
export type Plain = string | boolean | bigint | number | Uint8Array | null | Plain[] | PlainObject;
/** Attributes by key. */
export interface PlainObject {
  [key: string]: Plain;
}

/** Attributes by key; throws when a key is there twice. */
export function plainAttributes(attributes: readonly KeyValue[]): PlainObject {
  const plain: PlainObject = {};
  for (const { key, value } of attributes) {
    if (Object.hasOwn(plain, key)) throw new Error(`attribute ${key} is there twice`);
    plain[key] = plainValue(value);
  }
  return plain;
}

function plainValue(any: AnyValue | undefined): Plain {
  const content = any?.value;
  if (content === undefined) return null;
  switch (content.case) {
    case undefined:
      return null;
    case "arrayValue":
      return content.value.values.map(plainValue);
    case "kvlistValue":
      return plainAttributes(content.value.values);
    default:
      return content.value;
  }
}

/** Was the span sent for want of an end? */
export function isInterrupted({ span }: CollectedSpan): boolean {
  return span.attributes.some(({ key }) => key === "otlp_mmap.interrupted");
}
