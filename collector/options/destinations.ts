/**
 * Where each signal goes, and how: flags first, then the configuration file, then variables; in each of
 * them what is for the signal before what is for all of them.
 *
 * @module
 */
import type { Signal } from "../../lib/otlp/request.ts";
import {
  ArgumentsExit,
  baseEndpoint,
  boolean,
  compression,
  exactEndpoint,
  fromVariable,
  grpcEndpoint,
  header,
  headerFlag,
  protocol,
  timeout,
} from "./arguments.ts";
import { parseTarget, type Target } from "./endpoint.ts";
import { ALL_FLAGS, type Given } from "./given.ts";
import { grpcHeaderProblem, type Header } from "../send/headers.ts";
import { chooseProxy, type Proxy } from "../send/proxy.ts";
import type { Protocol } from "../send/send.ts";
import { forEachSignal, SIGNALS } from "../pipeline/signals.ts";
import { printable } from "../text/text.ts";
import { type TlsFiles, watchTls } from "../send/tls.ts";
import { type TokenFile, watchToken } from "../send/token.ts";
import {
  type Environment,
  otlpVariable,
  parseHeaderList,
  type Setting,
  signalVariable,
  variable,
} from "./variables.ts";
import type { Outcome } from "./without-effect.ts";

/** How the requests of one signal are sent. */
export interface Destination {
  /** The URL that is posted to; for gRPC without a path. */
  readonly url: string;
  readonly protocol: Protocol;
  /** Request headers, of which each name occurs once. */
  readonly headers: readonly Header[];
  readonly compression: "gzip" | "none";
  /** For one attempt to send, milliseconds. */
  readonly timeoutMs: number;
  /** For https. */
  readonly tls: TlsFiles;
  /** What is connected to in its place. */
  readonly proxy?: Proxy;
  /** A file with the bearer token to send. */
  readonly tokenFile?: TokenFile;
}

/** Flags that there are for each signal. */
type OfSignals<Name extends string, T> = { [K in `${Signal}${Name}`]?: T };

/** The flags about sending. */
export interface SendFlags
  extends
    OfSignals<"Endpoint", string[]>,
    OfSignals<"Protocol", Protocol>,
    OfSignals<"Header", string[]> {
  endpoint?: string[];
  protocol?: Protocol;
  insecure?: boolean;
  header?: string[];
  compression?: "gzip" | "none";
  timeout?: number;
  bearerTokenFile?: string;
  caFile?: string;
  clientCertFile?: string;
  clientKeyFile?: string;
}

const DEFAULT_TIMEOUT_MS = 10_000;

/**
 * The destinations of each signal, none of one that nothing names an endpoint for; null altogether
 * when no endpoint is named at all.
 *
 * @throws ArgumentsExit when a variable is bad.
 */
export function chooseDestinations(
  flags: SendFlags,
  env: Environment,
  given: Given = ALL_FLAGS,
): Record<Signal, Destination[]> | null {
  // Also where nothing is sent: a bad header in the arguments was meant for something.
  const headers = forEachSignal((signal) => givenHeaders(signal, flags, given));
  const tokenFile = chooseToken(flags.bearerTokenFile, Object.values(headers).flat(), given);
  const places = forEachSignal((signal) => choosePlaces(signal, flags, env, given));
  // The variables may be meant for other programs of this environment, so the ones about sending
  // matter only when something is sent.
  if (Object.values(places).every((each) => each.length === 0)) return null;
  return forEachSignal((signal) =>
    places[signal].map((place) => ({
      ...chooseDestination(signal, place, flags, headers[signal], env, given),
      ...(tokenFile === undefined ? {} : { tokenFile }),
    }))
  );
}

/** An option that says something of a signal. */
interface Said<T> {
  readonly option: string;
  readonly value: T;
}

/** The signal's own option and the general one, as far as they are given; the first is what counts. */
function saidOf<T>(
  signal: Signal,
  option: string,
  own: T | undefined,
  general: T | undefined,
  given: Given,
): Said<T>[] {
  const both = [{ option: `${signal}-${option}`, value: own }, { option, value: general }];
  const said = both.filter((each): each is Said<T> => each.value !== undefined);
  const isInFile = (each: Said<T>): number => given.where(each.option) === "file" ? 1 : 0;
  return said.sort((one, other) => isInFile(one) - isInFile(other));
}

/** A header, and what it is called in messages about it. */
interface Named {
  readonly header: Header;
  readonly place: string;
}

/** Of the same name, the last counts. */
function givenHeaders(signal: Signal, flags: SendFlags, given: Given): Named[] {
  const said = saidOf(signal, "header", flags[`${signal}Header`], flags.header, given);
  return said.reverse().flatMap(({ option, value }) =>
    value.map((text, index) => {
      const place = given.nameOf(option, index);
      const parse = headerFlag(given.sourceOf(option, index));
      return { header: fromVariable({ value: text, source: place }, parse, true)!, place };
    })
  );
}

function chooseToken(
  path: string | undefined,
  headers: readonly Named[],
  given: Given,
): TokenFile | undefined {
  if (path === undefined) return undefined;
  const file = { path, source: given.sourceOf("bearer-token-file") };
  const name = given.nameOf("bearer-token-file");
  const other = headers.find(({ header }) => header.name.toLowerCase() === "authorization");
  if (other !== undefined) {
    throw new ArgumentsExit(
      2,
      `${name} and ${other.place} authorization=… exclude each other: give one of them`,
    );
  }
  try {
    watchToken(file, () => {});
  } catch (error) {
    const reason = printable((error as Error).message, 200);
    throw new ArgumentsExit(2, `${name} "${printable(path, 200)}": ${reason}`);
  }
  return file;
}

/** Where to, and what by: the form of an endpoint depends on the protocol. */
type Place = Pick<Destination, "url" | "protocol">;

/** The endpoints of a signal as they are given. */
interface Endpoints {
  readonly settings: readonly Setting[];
  /** They are for this signal alone. */
  readonly isExact: boolean;
  readonly isVariable: boolean;
}

function chooseEndpoints(
  signal: Signal,
  flags: SendFlags,
  env: Environment,
  given: Given,
): Endpoints {
  const own = flags[`${signal}Endpoint`];
  const [said] = saidOf(signal, "endpoint", own, flags.endpoint, given);
  if (said !== undefined) {
    const { option, value } = said;
    const settings = value.map((text, index) => ({
      value: text,
      source: given.nameOf(option, index),
    }));
    return { settings, isExact: option !== "endpoint", isVariable: false };
  }
  const exact = variable(env, signalVariable(signal, "ENDPOINT"));
  const setting = exact ?? variable(env, "OTEL_EXPORTER_OTLP_ENDPOINT");
  const settings = setting === undefined ? [] : [setting];
  return { settings, isExact: exact !== undefined, isVariable: setting !== undefined };
}

/** What `destinations` came from, as far as it tells which options have an effect. */
export function originOf(
  destinations: Readonly<Record<Signal, readonly Destination[]>> | null,
  flags: SendFlags,
  env: Environment,
  given: Given,
): Pick<Outcome, "destinations" | "byVariable" | "hasBareEndpoint"> {
  const endpoints = forEachSignal((signal) => chooseEndpoints(signal, flags, env, given));
  return {
    destinations,
    byVariable: SIGNALS.filter((signal) => endpoints[signal].isVariable),
    hasBareEndpoint: SIGNALS.some((signal) =>
      destinations?.[signal].some(({ protocol }) => protocol === "grpc") &&
      endpoints[signal].settings.some(({ value }) => !/^https?:/i.test(value))
    ),
  };
}

function choosePlaces(
  signal: Signal,
  flags: SendFlags,
  env: Environment,
  given: Given,
): Place[] {
  const { settings, isExact } = chooseEndpoints(signal, flags, env, given);
  if (settings.length === 0) return [];
  const [said] = saidOf(signal, "protocol", flags[`${signal}Protocol`], flags.protocol, given);
  const chosen = said?.value ?? fromVariable(otlpVariable(env, signal, "PROTOCOL"), protocol) ??
    "http/protobuf";
  const isInsecure = (): boolean =>
    flags.insecure ?? fromVariable(otlpVariable(env, signal, "INSECURE"), boolean) ?? false;
  const parse = chosen === "grpc"
    ? grpcEndpoint(isInsecure())
    : isExact
    ? exactEndpoint
    : baseEndpoint(signal);
  const urls = settings.map((setting) => fromVariable(setting, parse)!);
  const twice = urls.findIndex((url, index) => urls.indexOf(url) < index);
  if (twice > 0) {
    const { source } = settings[twice];
    throw new ArgumentsExit(2, `${source} is given twice for ${parseTarget(urls[twice]).url}`);
  }
  return urls.map((url) => ({ url, protocol: chosen }));
}

function chooseDestination(
  signal: Signal,
  place: Place,
  flags: SendFlags,
  headers: readonly Named[],
  env: Environment,
  given: Given,
): Destination {
  const target = parseTarget(place.url);
  const proxy = proxyFor(target, env);
  return {
    ...place,
    headers: chooseHeaders(signal, place.protocol, flags, headers, env),
    compression: flags.compression ??
      fromVariable(otlpVariable(env, signal, "COMPRESSION"), compression) ?? "none",
    timeoutMs: flags.timeout ?? fromVariable(otlpVariable(env, signal, "TIMEOUT"), timeout) ??
      DEFAULT_TIMEOUT_MS,
    tls: target.secure ? chooseTls(signal, flags, env, given) : {},
    ...(proxy === undefined ? {} : { proxy }),
  };
}

function proxyFor(target: Target, env: Environment): Proxy | undefined {
  try {
    return chooseProxy(target, env);
  } catch (error) {
    throw new ArgumentsExit(2, (error as Error).message);
  }
}

function chooseHeaders(
  signal: Signal,
  protocol: Protocol,
  flags: SendFlags,
  given: readonly Named[],
  env: Environment,
): Header[] {
  const byName = new Map<string, Named>();
  for (const name of ["OTEL_EXPORTER_OTLP_HEADERS", signalVariable(signal, "HEADERS")]) {
    const list = fromVariable(
      variable(env, name),
      (text) => parseHeaderList(text).map(([key, value]) => header(key, value, name)),
      true,
    );
    for (const each of list ?? []) {
      byName.set(each.name.toLowerCase(), { header: each, place: name });
    }
  }
  for (const each of given) byName.set(each.header.name.toLowerCase(), each);
  // A flag wins over a variable: the token of the file is the authorization.
  if (flags.bearerTokenFile !== undefined) byName.delete("authorization");
  const headers = [...byName.values()];
  if (protocol === "grpc") headers.forEach(checkForGrpc);
  return headers.map((each) => each.header);
}

function checkForGrpc({ header: { name, value }, place }: Named): void {
  const problem = grpcHeaderProblem(name, value);
  if (problem === undefined) return;
  throw new ArgumentsExit(2, `${place} is invalid. Header "${printable(name, 60)}": ${problem}.`);
}

function chooseTls(signal: Signal, flags: SendFlags, env: Environment, given: Given): TlsFiles {
  const sources: string[] = [];
  const file = (name: string, option: string, flag: string | undefined): string | undefined => {
    const setting = flag === undefined
      ? otlpVariable(env, signal, name)
      : { value: flag, source: given.nameOf(option) };
    if (setting !== undefined) sources.push(setting.source);
    return setting?.value;
  };
  const ca = file("CERTIFICATE", "ca-file", flags.caFile);
  const others = sources.length;
  const cert = file("CLIENT_CERTIFICATE", "client-cert-file", flags.clientCertFile);
  const key = file("CLIENT_KEY", "client-key-file", flags.clientKeyFile);
  if ((cert === undefined) !== (key === undefined)) {
    throw new ArgumentsExit(
      2,
      `${
        sources[others]
      } is not enough: certificate and key go together, and for ${signal} only the ` +
        `${cert === undefined ? "key" : "certificate"} is set; ` +
        (cert === undefined
          ? "give --client-cert-file or OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE too"
          : "give --client-key-file or OTEL_EXPORTER_OTLP_CLIENT_KEY too"),
    );
  }
  const files = { ca, cert, key };
  try {
    watchTls(files, () => {});
  } catch (error) {
    const reason = printable((error as Error).message, 200);
    throw new ArgumentsExit(
      2,
      sources.length === 1
        ? `${sources[0]} names a file that can't be used: ${reason}`
        : `one of ${sources.join(", ")} names a file that can't be used: ${reason}`,
    );
  }
  return files;
}
