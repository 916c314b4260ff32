/**
 * The options of `collect`: flags first, then the configuration file, then variables, then defaults.
 *
 * @module
 */
import { Command } from "commander";
import type { AggregatorOptions } from "../../lib/metrics/aggregate.ts";
import type { Signal } from "../../lib/otlp/request.ts";
import { chooseAggregation } from "./aggregation.ts";
import {
  ArgumentsExit,
  batchSize,
  compression,
  duration,
  filePath,
  filePaths,
  fromVariable,
  oneOf,
  protocol,
  repeated,
  timeout,
} from "./arguments.ts";
import { type Configuration, NO_CONFIGURATION, readConfiguration } from "../config/file.ts";
import { applyFlags } from "../config/flags.ts";
import { chooseDestinations, type Destination, originOf, type SendFlags } from "./destinations.ts";
import { type Given, givenTo } from "./given.ts";
import { helpText } from "./help.ts";
import { addPageFlags, choosePage, type PageFlags } from "./page.ts";
import { addReceiverFlags, chooseReceiver, type ReceiverFlags } from "./receiver.ts";
import { DEFAULT_LOG, LEVELS, type LogFormat, type LogSettings } from "../text/log.ts";
import type { Level } from "../send/problems.ts";
import type { Processor } from "../processors/processor.ts";
import type { ReceiverOptions } from "../receive/receiver.ts";
import { addSpool, chooseSpool, type SpoolFlags, type SpoolSettings } from "./spool.ts";
import { type ListenAddress, listenAddress, type Listener } from "../serve/serve.ts";
import type { TailSampling } from "../tail-sampling/sink.ts";
import {
  addStoreFlags,
  type StoreFlags,
  type StoreSettings,
  storeSettings,
} from "../store/settings.ts";
import { SIGNALS } from "../pipeline/signals.ts";
import { type Environment, variable } from "./variables.ts";
import { withoutEffect } from "./without-effect.ts";

/** What `collect` was asked to do. */
export interface CollectOptions {
  /** Files, directories and globs as given; empty: see `discover.ts`. */
  readonly paths: readonly string[];
  /** There is a configuration file. */
  readonly hasConfig: boolean;
  /** Where each signal goes, nowhere for one that is not to be sent; null: nothing is sent. */
  readonly destinations: Readonly<Record<Signal, readonly Destination[]>> | null;
  /** Spans or log records in a request at most. */
  readonly batchSize: number;
  /** A batch that is not full is sent after this many milliseconds. */
  readonly flushIntervalMs: number;
  /** Metrics are collected this often, milliseconds. */
  readonly metricsIntervalMs: number;
  readonly aggregation: AggregatorOptions;
  /** What is left out and changed on the way out. */
  readonly processors: readonly Processor[];
  readonly tailSampling: TailSampling | null;
  /** Drain what is there, send it, end. */
  readonly once: boolean;
  /** Don't remove the drained files of dead owners. */
  readonly keep: boolean;
  /** Read files of other users, wherever they are. */
  readonly otherUsers: boolean;
  /** Print everything as lines. */
  readonly print: boolean;
  /** A batch is given up after this many milliseconds of trying: Infinity unless `once`. */
  readonly giveUpAfterMs: number;
  /** What is said on standard error, and how. */
  readonly log: LogSettings;
  /** Where to answer how the collector is; null: nowhere. */
  readonly health: Listener | null;
  /** Where to answer with the metrics of applications; null: nowhere. */
  readonly prometheus: Listener | null;
  /** Send metrics of the collector itself. */
  readonly selfMetrics: boolean;
  /** Where to receive OTLP of other programs; null: nowhere. */
  readonly receiver: ReceiverOptions | null;
  /** The database that keeps everything; null: none. */
  readonly store: StoreSettings | null;
  /** Where to serve the page that shows what is in the database; null: nowhere. */
  readonly page: Listener | null;
  /** Where requests wait for an endpoint; null: nowhere, or there is none. */
  readonly spool: SpoolSettings | null;
  /** What is to be said of the options themselves. */
  readonly warnings: readonly string[];
}

/**
 * 2,048 spans are some 0.5 to 1 MB: the fixed cost of a request is under 0.1 us a span then, and
 * the body stays below the 1 MB that nginx accepts unless told otherwise.
 */
export const DEFAULT_BATCH_SIZE = 2_048;
const DEFAULT_FLUSH_MS = 200;
const DEFAULT_METRICS_MS = 10_000;
/** A batch of a program that ends by itself is given up after this many milliseconds. */
export const ONCE_GIVES_UP_AFTER_MS = 60_000;

const texts = repeated(String);

interface Flags extends SendFlags, ReceiverFlags, StoreFlags, PageFlags, SpoolFlags {
  batchSize: number;
  flushInterval?: number;
  metricsInterval?: number;
  config?: string;
  once?: boolean;
  keep?: boolean;
  otherUsers?: boolean;
  print?: boolean;
  logLevel: Level;
  logFormat: LogFormat;
  health?: ListenAddress;
  selfMetrics?: boolean;
  prometheus?: ListenAddress;
}

/** Adds the flags about sending to a command. */
export function addSendFlags(command: Command): Command {
  command
    .option(
      "--endpoint <url>",
      "where to send (repeatable); /v1/traces and so on are appended (gRPC: HOST:PORT will do)",
      texts,
    )
    .option(
      "--protocol <name>",
      "http/protobuf, http/json or grpc (default: http/protobuf)",
      protocol,
    )
    .option("--insecure", "gRPC without TLS where the endpoint has no http:// or https://")
    .option("--header <name=value>", "a request header (repeatable)", texts)
    .option(
      "--bearer-token-file <file>",
      "a token to send, read again when the file changes",
      filePath,
    )
    .option(
      "--ca-file <file>",
      "PEM: certificates to trust; this and the next two are reloaded",
      filePath,
    )
    .option("--client-cert-file <file>", "PEM: the certificate to show", filePath)
    .option("--client-key-file <file>", "PEM: its private key", filePath)
    .option("--compression <name>", "gzip or none (default: none)", compression)
    .option("--timeout <duration>", "for one attempt to send; 0: no limit (default: 10s)", timeout);
  for (const signal of SIGNALS) {
    command
      .option(
        `--${signal}-endpoint <url>`,
        `the exact URL for ${signal}, instead of any --endpoint (repeatable)`,
        texts,
      )
      .option(`--${signal}-protocol <name>`, `for ${signal}, instead of --protocol`, protocol)
      .option(`--${signal}-header <name=value>`, `with ${signal} alone (repeatable)`, texts);
  }
  return command;
}

function combine(
  command: string,
  paths: readonly string[],
  flags: Flags,
  given: Given,
  { views, processors, tailSampling }: Configuration,
  env: Environment,
): CollectOptions {
  const { once = false, keep = false, otherUsers = false } = flags;
  const destinations = chooseDestinations(flags, env, given);
  // Whoever has no backend looks at a page, or at lines where it is a matter of a moment.
  const nowhere = destinations === null && (flags.store ?? null) === null;
  const print = flags.print ?? (nowhere && once);
  const page = choosePage(flags, nowhere && !print, given);
  const options = {
    paths,
    hasConfig: flags.config !== undefined,
    destinations,
    batchSize: flags.batchSize,
    flushIntervalMs: flags.flushInterval ?? DEFAULT_FLUSH_MS,
    metricsIntervalMs: flags.metricsInterval ?? DEFAULT_METRICS_MS,
    aggregation: chooseAggregation(views, env),
    processors,
    tailSampling,
    once,
    keep,
    otherUsers,
    print,
    giveUpAfterMs: once ? ONCE_GIVES_UP_AFTER_MS : Infinity,
    log: { level: flags.logLevel, format: flags.logFormat },
    health: chooseHealth(flags, given, env),
    prometheus: flags.prometheus === undefined
      ? null
      : { address: flags.prometheus, source: given.sourceOf("prometheus") },
    selfMetrics: flags.selfMetrics ?? false,
    receiver: chooseReceiver(flags, Object.values(destinations ?? {}).flat(), given),
    store: chooseStore(flags, page !== null, nowhere && !print, given, env),
    page,
    spool: destinations === null ? null : chooseSpool(flags, once, env),
  };
  const warnings = withoutEffect({
    command,
    given,
    ...originOf(destinations, flags, env, given),
    spool: flags.spool,
    hasSpool: options.spool !== null,
    hasStore: options.store !== null,
    hasPage: page !== null,
    hasReceiver: options.receiver !== null,
    once,
    print,
  });
  return { ...options, warnings };
}

function chooseStore(
  flags: Flags,
  isShown: boolean,
  isAll: boolean,
  given: Given,
  env: Environment,
): StoreSettings | null {
  const byDefault = isShown || isAll;
  if (flags.store !== null || !byDefault) return storeSettings(flags, env, byDefault);
  const why = isShown ? "the page shows what is in it" : "nothing else is done with what comes";
  throw new ArgumentsExit(
    2,
    `${given.nameOf("store")} is off, but ${why}: leave it out, name an endpoint, or print`,
  );
}

function chooseHealth({ health }: Flags, given: Given, env: Environment): Listener | null {
  if (health !== undefined) return { address: health, source: given.sourceOf("health") };
  const setting = variable(env, "OTLP_MMAP_HEALTH");
  const address = fromVariable(setting, listenAddress);
  return address === undefined ? null : { address, source: setting!.source };
}

/** Adds the options that say how to collect: where to send, and how often. */
export function addSending(command: Command): Command {
  return addSendFlags(command)
    .option(
      "--batch-size <count>",
      "spans or log records in a request at most",
      batchSize,
      DEFAULT_BATCH_SIZE,
    )
    .option(
      "--flush-interval <duration>",
      "a batch that is not full is sent after this (default: 200ms)",
      duration,
    )
    .option(
      "--metrics-interval <duration>",
      "metrics are sent this often (default: 10s)",
      duration,
    )
    .option(
      "--config <file>",
      "a YAML file with all of this, views, processors, tail sampling",
      filePath,
    );
}

/**
 * What a command that collects was asked to do, by its arguments, its configuration file and
 * variables.
 *
 * @param whole Where the command has not all options that the file may have: one that has.
 * @throws ArgumentsExit when something in these is bad.
 */
export function readOptions(
  paths: readonly string[],
  command: Command,
  env: Environment,
  whole: Command = command,
): CollectOptions {
  let inFile: ReturnType<typeof applyFlags> | undefined;
  const { config } = command.opts<Flags>();
  const configuration = config === undefined
    ? NO_CONFIGURATION
    : readConfiguration(config, (file, fields) => {
      inFile = applyFlags(command, whole, file, fields);
    });
  const where = paths.length > 0 ? paths : inFile?.paths ?? [];
  return combine(
    command.name(),
    where,
    command.opts(),
    givenTo(command, inFile?.names),
    configuration,
    env,
  );
}

/**
 * Adds `collect` to the program.
 *
 * @param choose Called with what it was asked to do.
 * @throws ArgumentsExit from the program's parse, when a variable is bad.
 */
export function addCollect(
  program: Command,
  env: Environment,
  choose: (options: CollectOptions) => void,
): void {
  const command = program.command("collect")
    .description(
      "follow files, and show their spans, logs and metrics on a page, or send them as OTLP",
    )
    .argument("[paths...]", "files, directories or globs", filePaths);
  addSpool(addPageFlags(addStoreFlags(addReceiverFlags(addSending(command)))))
    .option("--once", "drain what is there, send it, and end")
    .option("--print", "print each span, log record and data point as a line")
    .option("--keep", "don't remove the drained files of dead owners")
    .option("--other-users", "also files of other users (root: in directories not theirs)")
    .option(
      "--log-level <level>",
      "what is said: debug, info, warn or error and above",
      oneOf(...LEVELS),
      DEFAULT_LOG.level,
    )
    .option(
      "--log-format <format>",
      "text, or json: one object a line with time, level and message",
      oneOf<LogFormat>("text", "json"),
      DEFAULT_LOG.format,
    )
    .option(
      "--health <host:port>",
      "serve /healthz, /readyz and /metrics there (default: not at all)",
      listenAddress,
    )
    .option("--self-metrics", "send metrics of the collector itself, every --metrics-interval")
    .option(
      "--prometheus <host:port>",
      "serve the applications' metrics at /metrics there (default: not at all)",
      listenAddress,
    )
    .addHelpText("after", helpText)
    .action((paths: string[], _flags: Flags, command: Command) =>
      choose(readOptions(paths, command, env))
    );
}

/** `collect`, of which nothing was asked yet. */
export function scratchCollect(env: Environment): Command {
  const program = new Command();
  addCollect(program, env, () => {});
  return program.commands[0];
}

/**
 * The options that `collect` would have with these paths and those flags of another command that it
 * has too.
 *
 * @throws ArgumentsExit when something in these is bad.
 */
export function asCollect(
  paths: readonly string[],
  command: Command,
  env: Environment,
): CollectOptions {
  const collect = scratchCollect(env);
  for (const option of collect.options) {
    const name = option.attributeName();
    if (command.getOptionValueSource(name) !== "cli") continue;
    collect.setOptionValueWithSource(name, command.getOptionValue(name), "cli");
  }
  return readOptions(paths, collect, env);
}
