/**
 * Values as people give them, on the command line or in a variable: the same parsers for both.
 *
 * @module
 */
import { InvalidArgumentError } from "commander";
import type { Signal } from "../../lib/otlp/request.ts";
import { didYouMean } from "../../lib/similar.ts";
import { parseDuration } from "./durations.ts";
import { exactUrl, grpcUrl, signalUrls, withoutCredentials } from "./endpoint.ts";
import { type Header, headerProblem } from "../send/headers.ts";
import type { Protocol } from "../send/send.ts";
import { printable } from "../text/text.ts";
import type { Setting } from "./variables.ts";

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

const MAX_BATCH_SIZE = 65_536;
const HOUR_MS = 3_600_000;
/** Timers take no more: 24 days. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Milliseconds of a duration, 1 ms to 1 h. */
export function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new InvalidArgumentError("It is no duration such as 10s or 500ms.");
  if (ms < 1 || ms > HOUR_MS) throw new InvalidArgumentError("It is not from 1ms to 1h.");
  return ms;
}

/** The same of a time limit, of which 0 is none (OpenTelemetry specification, "Timeout"). */
export function timeout(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new InvalidArgumentError("It is no duration such as 10s or 500ms.");
  if (ms === 0) return MAX_TIMER_MS;
  if (ms < 1 || ms > MAX_TIMER_MS) {
    throw new InvalidArgumentError(`It is not from 1ms to ${MAX_TIMER_MS}ms, or 0 for no limit.`);
  }
  return ms;
}

/** How many items a request may have. */
export function batchSize(text: string): number {
  const count = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (count < 1 || count > MAX_BATCH_SIZE) {
    throw new InvalidArgumentError(`It is no whole number from 1 to ${MAX_BATCH_SIZE}.`);
  }
  return count;
}

/** A parser of one of some words, which shells offer. */
export interface WordParser<T extends string> {
  (text: string): T;
  readonly words: readonly T[];
}

/** One of some words, in any case. */
export function oneOf<T extends string>(...words: readonly T[]): WordParser<T> {
  const parse = (text: string): T => {
    const found = words.find((word) => word === text.toLowerCase());
    if (found !== undefined) return found;
    const rest = words.slice(0, -1).join(", ");
    const known = `${rest} or ${words[words.length - 1]}`;
    throw new InvalidArgumentError(`It is not ${known}.${didYouMean(text, words)}`);
  };
  return Object.assign(parse, { words });
}

/** A parser of an option that may be given several times. */
export interface ListParser<T> {
  (text: string, before?: readonly T[]): T[];
  readonly isList: true;
}

/** Each value by itself. */
export function repeated<T>(parse: (text: string) => T): ListParser<T> {
  const append = (text: string, before: readonly T[] = []): T[] => [...before, parse(text)];
  return Object.assign(append, { isList: true as const });
}

/** A file or directory. */
export function filePath(text: string): string {
  if (text !== "") return text;
  throw new InvalidArgumentError("It is empty, as of a variable in a script that is not set.");
}

/** Several of them. */
export const filePaths: ListParser<string> = repeated(filePath);

/** How a request's body is compressed. */
export const compression: WordParser<"gzip" | "none"> = oneOf("gzip", "none");

/** What requests are carried by. */
export const protocol: (text: string) => Protocol = oneOf("grpc", "http/protobuf", "http/json");

/** `true` or `false`. */
export function boolean(text: string): boolean {
  return oneOf("true", "false")(text) === "true";
}

/** The URL of a signal under a base URL. */
export function baseEndpoint(signal: Signal): (text: string) => string {
  return (text) => checkUrl(() => signalUrls(text)[signal]);
}

/** A URL as it is used. */
export function exactEndpoint(text: string): string {
  return checkUrl(() => exactUrl(text));
}

/** The URL that stands for a gRPC endpoint. */
export function grpcEndpoint(insecure: boolean): (text: string) => string {
  return (text) => checkUrl(() => grpcUrl(text, insecure));
}

function checkUrl<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new InvalidArgumentError(printable((error as Error).message) + ".");
  }
}

/** A request header. */
export function header(name: string, value: string, source: string): Header {
  const problem = headerProblem(name, value);
  if (problem !== undefined) {
    // Of "authorization: Basic dXNlcg==" the name is all up to the equals sign.
    const shown = name.replace(/[^\w-].*$/s, "…");
    throw new InvalidArgumentError(`Header "${printable(shown, 60)}": ${problem}.`);
  }
  return { name, value, source };
}

/** The same from NAME=VALUE. */
export function headerFlag(source: string): (text: string) => Header {
  return (text) => {
    const equals = text.indexOf("=");
    if (equals <= 0) throw new InvalidArgumentError("It is not NAME=VALUE.");
    return header(text.slice(0, equals).trim(), text.slice(equals + 1).trim(), source);
  };
}

/**
 * Applies a flag's parser to a variable, with the variable named when the value is bad.
 *
 * @param secret The value is not repeated.
 */
export function fromVariable<T>(
  setting: Setting | undefined,
  parse: (text: string) => T,
  secret = false,
): T | undefined {
  if (setting === undefined) return undefined;
  try {
    return parse(setting.value);
  } catch (error) {
    const shown = secret ? "" : ` "${printable(withoutCredentials(setting.value), 200)}"`;
    throw new ArgumentsExit(2, `${setting.source}${shown} is invalid. ${(error as Error).message}`);
  }
}
