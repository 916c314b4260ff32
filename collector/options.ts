/**
 * The command line: flags first, then the OTEL_EXPORTER_OTLP_* variables, then defaults.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { Command, CommanderError, InvalidArgumentError } from "commander";
import packageJson from "../package.json" with { type: "json" };
import type { TlsMaterial } from "./connection.ts";
import { parseDuration } from "./durations.ts";
import { exactUrl, parseTarget, tracesUrl } from "./endpoint.ts";
import { helpText } from "./help.ts";
import { type Header, headerProblem } from "./send.ts";
import { printable } from "./text.ts";
import {
  type Environment,
  otlpVariable,
  parseHeaderList,
  type Setting,
  variable,
} from "./variables.ts";

/** What `collect` was asked to do. */
export interface CollectOptions {
  /** Files, directories and globs as given; empty: see `discover.ts`. */
  readonly paths: readonly string[];
  /** The URL traces are posted to; absent: print them. */
  readonly url?: string;
  /** Request headers, of which each name occurs once. */
  readonly headers: readonly Header[];
  readonly compression: "gzip" | "none";
  /** For one attempt to send, milliseconds. */
  readonly timeoutMs: number;
  /** PEM texts for https. */
  readonly tls: TlsMaterial;
  /** Spans in a request at most. */
  readonly batchSize: number;
  /** A batch that is not full is sent after this many milliseconds. */
  readonly flushIntervalMs: number;
  /** Drain what is there, send it, end. */
  readonly once: boolean;
  /** Don't remove the drained files of dead owners. */
  readonly keep: boolean;
  /** A batch is given up after this many milliseconds of trying: Infinity unless `once`. */
  readonly giveUpAfterMs: number;
}

/** Thrown where a command-line program ends: the help was asked for, or an argument is bad. */
export class ArgumentsExit extends Error {
  /** 0: `message` goes to standard output; 2: to standard error. */
  readonly exitCode: 0 | 2;
  constructor(exitCode: 0 | 2, message: string) {
    super(message);
    this.name = "ArgumentsExit";
    this.exitCode = exitCode;
  }
}

/**
 * 2,048 spans are some 0.5 to 1 MB: the fixed cost of a request is under 0.1 us a span then, and
 * the body stays below the 1 MB that nginx accepts unless told otherwise.
 */
export const DEFAULT_BATCH_SIZE = 2_048;
const MAX_BATCH_SIZE = 65_536;
const DEFAULT_FLUSH_MS = 200;
const DEFAULT_TIMEOUT_MS = 10_000;
const ONCE_GIVES_UP_AFTER_MS = 60_000;
const HOUR_MS = 3_600_000;

interface Flags {
  endpoint?: string;
  protocol?: string;
  header?: string[];
  compression?: "gzip" | "none";
  timeout?: number;
  batchSize: number;
  flushInterval?: number;
  once?: boolean;
  keep?: boolean;
}

// ---------------------------------------------------------------------- values, for flag and variable

function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new InvalidArgumentError("It is no duration such as 10s or 500ms.");
  if (ms < 1 || ms > HOUR_MS) throw new InvalidArgumentError("It is not from 1ms to 1h.");
  return ms;
}

function spanCount(text: string): number {
  const count = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (count < 1 || count > MAX_BATCH_SIZE) {
    throw new InvalidArgumentError(`It is no whole number from 1 to ${MAX_BATCH_SIZE}.`);
  }
  return count;
}

function compression(text: string): "gzip" | "none" {
  if (text !== "gzip" && text !== "none") throw new InvalidArgumentError("It is not gzip or none.");
  return text;
}

function protocol(text: string): string {
  if (text !== "http/protobuf") {
    throw new InvalidArgumentError("Only http/protobuf is supported.");
  }
  return text;
}

function endpoint(text: string): string {
  try {
    return tracesUrl(text);
  } catch (error) {
    throw new InvalidArgumentError(printable((error as Error).message) + ".");
  }
}

function header(name: string, value: string, source: string): Header {
  const problem = headerProblem(name, value);
  if (problem !== undefined) {
    throw new InvalidArgumentError(`Header "${printable(name, 60)}": ${problem}.`);
  }
  return { name, value, source };
}

function headerFlag(text: string): Header {
  const equals = text.indexOf("=");
  if (equals <= 0) throw new InvalidArgumentError("It is not NAME=VALUE.");
  const value = text.slice(equals + 1).trim();
  return header(text.slice(0, equals).trim(), value, "--header");
}

function append(text: string, before: string[] = []): string[] {
  return [...before, text];
}

/**
 * Applies a flag's parser to a variable, with the variable named when the value is bad.
 *
 * @param secret The value is not repeated.
 */
function fromVariable<T>(
  setting: Setting | undefined,
  parse: (text: string) => T,
  secret = false,
): T | undefined {
  if (setting === undefined) return undefined;
  try {
    return parse(setting.value);
  } catch (error) {
    const shown = secret ? "" : ` "${printable(setting.value, 200)}"`;
    throw new ArgumentsExit(2, `${setting.source}${shown} is invalid. ${(error as Error).message}`);
  }
}

// ----------------------------------------------------------------------------------- putting together

function chooseUrl(flags: Flags, env: Environment): string | undefined {
  const exact = (text: string): string => {
    try {
      return exactUrl(text);
    } catch (error) {
      throw new InvalidArgumentError(printable((error as Error).message) + ".");
    }
  };
  return flags.endpoint ??
    fromVariable(variable(env, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), exact) ??
    fromVariable(variable(env, "OTEL_EXPORTER_OTLP_ENDPOINT"), endpoint);
}

function chooseHeaders(flags: Flags, env: Environment, sending: boolean): Header[] {
  const byName = new Map<string, Header>();
  const names = ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"];
  for (const name of sending ? names : []) {
    const list = fromVariable(
      variable(env, name),
      (text) => parseHeaderList(text).map(([key, value]) => header(key, value, name)),
      true,
    );
    for (const each of list ?? []) byName.set(each.name.toLowerCase(), each);
  }
  for (const value of flags.header ?? []) {
    const each = fromVariable({ value, source: "--header" }, headerFlag, true);
    if (each !== undefined) byName.set(each.name.toLowerCase(), each);
  }
  return [...byName.values()];
}

function chooseTls(env: Environment): TlsMaterial {
  const read = (name: string): string | undefined => {
    const setting = otlpVariable(env, name);
    if (setting === undefined) return undefined;
    try {
      return readFileSync(setting.value, "utf8");
    } catch (error) {
      const reason = printable((error as Error).message, 200);
      throw new ArgumentsExit(2, `${setting.source} names a file that can't be read: ${reason}`);
    }
  };
  const material = {
    ca: read("CERTIFICATE"),
    cert: read("CLIENT_CERTIFICATE"),
    key: read("CLIENT_KEY"),
  };
  if ((material.cert === undefined) !== (material.key === undefined)) {
    throw new ArgumentsExit(
      2,
      "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY go together: " +
        `only the ${material.cert === undefined ? "key" : "certificate"} is set`,
    );
  }
  return material;
}

function combine(paths: string[], flags: Flags, env: Environment): CollectOptions {
  const url = chooseUrl(flags, env);
  // The variables may be meant for other programs of this environment, so the ones about sending
  // matter only when something is sent.
  const sending = url !== undefined;
  if (sending && flags.protocol === undefined) {
    fromVariable(otlpVariable(env, "PROTOCOL"), protocol);
  }
  const headers = chooseHeaders(flags, env, sending);
  const packed = sending ? fromVariable(otlpVariable(env, "COMPRESSION"), compression) : undefined;
  const patience = sending ? fromVariable(otlpVariable(env, "TIMEOUT"), duration) : undefined;
  const { once = false, keep = false } = flags;
  return {
    paths,
    ...(sending ? { url } : {}),
    headers,
    compression: flags.compression ?? packed ?? "none",
    timeoutMs: flags.timeout ?? patience ?? DEFAULT_TIMEOUT_MS,
    tls: sending && parseTarget(url).secure ? chooseTls(env) : {},
    batchSize: flags.batchSize,
    flushIntervalMs: flags.flushInterval ?? DEFAULT_FLUSH_MS,
    once,
    keep,
    giveUpAfterMs: once ? ONCE_GIVES_UP_AFTER_MS : Infinity,
  };
}

/**
 * Parses the arguments after the program's name.
 *
 * @throws ArgumentsExit when the program ends here: exit code 0 with the help or version to print,
 * or 2 with one line that says which argument or variable is bad.
 */
export function parseArguments(argv: readonly string[], env: Environment): CollectOptions {
  let options: CollectOptions | undefined;
  let output = "";
  const collectOutput = {
    writeOut: (text: string): void => {
      output += text;
    },
    writeErr: (text: string): void => {
      output += text;
    },
    // No colours: help is compared and piped.
    getOutHelpWidth: (): number => 100,
    getErrHelpWidth: (): number => 100,
  };
  const program = new Command("otlp-mmap")
    .description(
      "Reads the telemetry that applications write into memory-mapped files, and sends it.",
    )
    .version(packageJson.version)
    .exitOverride()
    .configureOutput(collectOutput);
  program.command("collect")
    .description("follow files, assemble their spans, and send them as OTLP (or print them)")
    .argument("[paths...]", "files, directories or globs")
    .option("--endpoint <url>", "where to send; /v1/traces is appended unless there", endpoint)
    .option("--protocol <name>", "http/protobuf, the only one there is", protocol)
    .option("--header <name=value>", "a request header (repeatable)", append)
    .option("--compression <name>", "gzip or none (default: none)", compression)
    .option("--timeout <duration>", "for one attempt to send (default: 10s)", duration)
    .option("--batch-size <spans>", "spans in a request at most", spanCount, DEFAULT_BATCH_SIZE)
    .option(
      "--flush-interval <duration>",
      "a batch that is not full is sent after this (default: 200ms)",
      duration,
    )
    .option("--once", "drain what is there, send it, and end")
    .option("--keep", "don't remove the drained files of dead owners")
    .addHelpText("after", helpText)
    .action((paths: string[], flags: Flags) => {
      options = combine(paths, flags, env);
    });
  try {
    program.parse(argv, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    const failed = error.exitCode !== 0 || argv.length === 0;
    throw new ArgumentsExit(failed ? 2 : 0, output.trimEnd());
  }
  if (options === undefined) throw new ArgumentsExit(2, program.helpInformation());
  return options;
}
