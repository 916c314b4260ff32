/**
 * `tail`: spans, log records and metrics as they are recorded, beside whoever collects them.
 *
 * @module
 */
import process from "node:process";
import { fromBinary } from "@bufbuild/protobuf";
import { type Command, InvalidArgumentError } from "commander";
import { userTempDirectory, writeStdout } from "../../ffi/mod.ts";
import { DEFAULT_LIMITS } from "../../lib/otlp/assemble.ts";
import type { Signal } from "../../lib/otlp/request.ts";
import {
  ExportLogsServiceRequestSchema,
  ExportMetricsServiceRequestSchema,
  ExportTraceServiceRequestSchema,
} from "../../proto/gen/otlp_pb.ts";
import { chooseAggregation } from "../options/aggregation.ts";
import { ArgumentsExit, duration, filePath, filePaths, oneOf } from "../options/arguments.ts";
import { givenTo } from "../options/given.ts";
import { withoutEffect } from "../options/without-effect.ts";
import { readViewsOf } from "../config/file.ts";
import { onEndSignal } from "../ending.ts";
import { discover } from "../files/discover.ts";
import { log } from "../text/log.ts";
import { DEFAULT_BATCH_SIZE } from "../options/options.ts";
import { formatLog } from "../print/logs.ts";
import { formatMetric } from "../print/metrics.ts";
import { wantsColor } from "../print/print.ts";
import { formatSpan } from "../print/spans.ts";
import { serviceName } from "../print/values.ts";
import type { AddCommand } from "../program.ts";
import type { Sink } from "../pipeline/queue.ts";
import { ReadOut } from "../files/readout.ts";
import { forEachSignal } from "../pipeline/signals.ts";
import { SEVERITIES } from "../text/severities.ts";
import { createFilter } from "../tail/filter.ts";
import { logObject, pointObjects, spanObject } from "../tail/objects.ts";
import { Trees } from "../tail/trees.ts";
import { Watch } from "../tail/watch.ts";
import type { Environment } from "../options/variables.ts";
import { DECODING } from "../send/decoding.ts";

interface Flags {
  service?: string[];
  name?: string;
  severity?: string;
  trace?: string;
  minDuration?: number;
  json?: boolean;
  tree?: boolean;
  metrics?: boolean;
  metricsInterval?: number;
  all?: boolean;
  config?: string;
}

/** Open spans are a convenience here: fewer of them than a collector keeps. */
const LIMITS = { ...DEFAULT_LIMITS, openSpans: 100_000, bytes: 128 << 20 };
const SCAN_MS = 300;
const OWNER_MS = 500;
const BUSY_SLEEP_MS = 5;
const IDLE_SLEEP_MS = 60;
/** What is written already gets so long after a signal. */
const LAST_LINES_MS = 5000;
const DEFAULT_METRICS_MS = 10_000;

const helpText = `
Without paths, looks where collect does. A file is only looked at: no lock is taken and nothing is
given back, so a collector that reads the same files misses nothing. What is written over before it
was looked at is missed, and counted. Without a collector, a full ring ends recording: tail says so.

Spans are shown when they end; one that was open at the start is shown whole, as far as its records
are still there. --tree keeps spans until the root of their trace has ended, or 10 seconds after the
last of them when the root is elsewhere, and 50,000 spans at most. Metrics add up what tail has seen.

--severity is for log records, --min-duration for spans: either alone hides the other kind.

Examples:
  otlp-mmap tail                                       everything that runs, as it happens
  otlp-mmap tail --tree --service checkout             traces of one service
  otlp-mmap tail --severity warn --min-duration 250ms  what is wrong, and what is slow
  otlp-mmap tail --name 'GET /items/*' --json | jq .durationMs
  otlp-mmap tail --trace 0af7651916cd43dd --all        also what the files hold already

Exit codes:
  0  ended by SIGINT or SIGTERM, or because nobody reads the output any more
  2  a bad argument or variable
`;

/** The command. */
export const tail: AddCommand = (program, env, choose) => {
  program.command("tail")
    .description(
      "print spans, logs and metrics as they are recorded; takes nothing from a collector",
    )
    .argument("[paths...]", "files, directories or globs", filePaths)
    .option(
      "--service <name>",
      "only of this service (repeatable)",
      (text: string, before: string[] = []) => [...before, text],
    )
    .option("--name <text>", "only names with this in them; with a *, names like this")
    .option(
      "--severity <name>",
      "only log records from trace, debug, info, warn, error or fatal on",
      oneOf(...Object.keys(SEVERITIES)),
    )
    .option("--trace <id>", "only of this trace: its id, or the first digits of it", traceId)
    .option(
      "--min-duration <duration>",
      "only spans that took this long (500us, 250ms)",
      spanDuration,
    )
    .option("--tree", "spans as trees, when the root of their trace has ended")
    .option("--json", "one JSON object on each line")
    .option("--metrics", "metrics too")
    .option("--metrics-interval <duration>", "this often (default: 10s)", duration)
    .option("--all", "begin with what the files hold already")
    .option("--config <file>", "a YAML file with views of metrics", filePath)
    .addHelpText("after", helpText)
    .action((paths: string[], flags: Flags, command: Command) => {
      if (flags.tree && flags.json) {
        throw new ArgumentsExit(2, "--tree and --json: only one of them can be had at a time");
      }
      const given = givenTo(command);
      for (const warning of withoutEffect({ command: "tail", given, metrics: flags.metrics })) {
        log("warn", warning);
      }
      const aggregation = chooseAggregation(readViewsOf(flags.config), env);
      choose(() => run(paths, flags, aggregation, env));
    });
};

function traceId(text: string): string {
  if (!/^[0-9a-f]{1,32}$/i.test(text)) {
    throw new InvalidArgumentError("It is not 1 to 32 hexadecimal digits.");
  }
  return text;
}

/** Milliseconds: of a span, which may be shorter than anything else that is given as a duration. */
function spanDuration(text: string): number {
  const match = /^(\d{1,12}(?:\.\d{1,6})?)\s*([un])s$/.exec(text.trim());
  return match === null ? duration(text) : Number(match[1]) / (match[2] === "u" ? 1e3 : 1e6);
}

/** What text an export request is. */
function createFormat(
  flags: Flags,
  trees: Trees | null,
): (signal: Signal, body: Uint8Array) => string {
  const style = { color: wantsColor(process.stdout.isTTY, process.env) };
  const filter = createFilter({
    services: flags.service,
    name: flags.name,
    severity: flags.severity === undefined ? undefined : SEVERITIES[flags.severity],
    trace: flags.trace,
    minDurationMs: flags.minDuration,
  });
  const { json = false } = flags;
  const formats: Record<Signal, (body: Uint8Array) => string> = {
    traces(body) {
      let text = "";
      // Ids are views of the bytes, which are used again, while trees keep spans.
      const bytes = trees === null ? body : new Uint8Array(body);
      const { resourceSpans } = fromBinary(ExportTraceServiceRequestSchema, bytes, DECODING);
      for (const { resource, scopeSpans } of resourceSpans) {
        const service = serviceName(resource?.attributes);
        for (const span of scopeSpans.flatMap(({ spans }) => spans)) {
          const wanted = filter.service(service) && filter.span(span);
          // The others of its trace are shown with it.
          if (trees !== null) text += trees.add(span, service, wanted, performance.now());
          else if (!wanted) continue;
          else text += (json ? spanObject(span, service) : formatSpan(span, service, style)) + "\n";
        }
      }
      return text;
    },
    logs(body) {
      let text = "";
      const { resourceLogs } = fromBinary(ExportLogsServiceRequestSchema, body, DECODING);
      for (const { resource, scopeLogs } of resourceLogs) {
        const service = serviceName(resource?.attributes);
        if (!filter.service(service)) continue;
        for (const record of scopeLogs.flatMap(({ logRecords }) => logRecords)) {
          if (!filter.log(record)) continue;
          text += (json ? logObject(record, service) : formatLog(record, service, style)) + "\n";
        }
      }
      return text;
    },
    metrics(body) {
      let text = "";
      const { resourceMetrics } = fromBinary(ExportMetricsServiceRequestSchema, body, DECODING);
      for (const { resource, scopeMetrics } of resourceMetrics) {
        const service = serviceName(resource?.attributes);
        if (!filter.service(service)) continue;
        for (const metric of scopeMetrics.flatMap(({ metrics }) => metrics)) {
          if (!filter.metric(metric)) continue;
          if (!json) text += formatMetric(metric, service, style);
          else for (const point of pointObjects(metric, service)) text += `${point}\n`;
        }
      }
      return text;
    },
  };
  return (signal, body) => formats[signal](body);
}

/** Ends a program whose lines nobody takes. */
function giveUp(): void {
  log("warn", `not all lines are written: nobody read them for ${LAST_LINES_MS / 1000} s`);
  process.exit(1);
}

async function run(
  paths: readonly string[],
  flags: Flags,
  aggregation: ReturnType<typeof chooseAggregation>,
  env: Environment,
): Promise<number> {
  const { all = false, metrics = false, metricsInterval = DEFAULT_METRICS_MS } = flags;
  let stopping = false;
  let wake = (): void => {};
  const stop = (): void => {
    if (!stopping) setTimeout(giveUp, LAST_LINES_MS).unref();
    stopping = true;
    wake();
  };
  onEndSignal(stop);
  // A reader of our lines that went away (`| head`) ends this like a signal.
  process.stdout.on("error", stop);
  const print = (text: string): Promise<void> =>
    new Promise((resolve) => {
      if (text === "") resolve();
      else {
        writeStdout(text, (error) => {
          if (error) stop();
          resolve();
        });
      }
    });

  const style = { color: wantsColor(process.stdout.isTTY, process.env) };
  const trees = flags.tree ? new Trees(style) : null;
  const format = createFormat(flags, trees);
  // What was there before is read for the spans that are still open, and not shown.
  let isMuted = !all;
  const sink = (signal: Signal): Sink => ({
    async send(body, items) {
      if (!isMuted) await print(format(signal, body));
      return { accepted: items, rejected: 0, dropped: 0 };
    },
    abort(): void {},
    close: () => Promise.resolve(),
  });
  const reading = new ReadOut({
    sinks: forEachSignal(sink),
    batchSize: DEFAULT_BATCH_SIZE,
    aggregation: { ...aggregation, warn: (message) => log("warn", message) },
    limits: LIMITS,
    withoutMetrics: !metrics,
  });
  const { requests } = reading;
  const { scan } = discover(paths, env, { log, places: { userTempDirectory } });
  const watch = new Watch({ scan, reading, log, all });

  let nextScan = 0;
  let nextOwners = 0;
  let nextCollection = performance.now() + metricsInterval;
  while (!stopping) {
    const now = performance.now();
    if (now >= nextScan) {
      watch.scan();
      nextScan = now + SCAN_MS;
    }
    const taken = watch.take(now);
    if (now >= nextOwners) {
      watch.askOwners(now);
      nextOwners = now + OWNER_MS;
    }
    if (metrics && now >= nextCollection) {
      watch.collect();
      nextCollection = now + metricsInterval;
    }
    requests.flush();
    // Lines go out before more is copied, so that a slow terminal takes no memory.
    await reading.answered();
    isMuted = false;
    if (trees !== null) await print(trees.due(performance.now()));
    if (stopping) break;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, taken > 0 ? BUSY_SLEEP_MS : IDLE_SLEEP_MS);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
  if (trees !== null) await print(trees.due(Infinity));
  return 0;
}
