/**
 * Where each signal goes, and how: flags first, then the variable for the signal, then the one for
 * all of them.
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
import { grpcHeaderProblem, type Header } from "../send/headers.ts";
import { chooseProxy, type Proxy } from "../send/proxy.ts";
import type { Protocol } from "../send/send.ts";
import { forEachSignal } from "../pipeline/signals.ts";
import { printable } from "../text/text.ts";
import { type TlsFiles, watchTls } from "../send/tls.ts";
import { watchToken } from "../send/token.ts";
import {
  type Environment,
  otlpVariable,
  parseHeaderList,
  signalVariable,
  variable,
} from "./variables.ts";

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
  readonly tokenFile?: string;
}

/** The flags about sending. */
export interface SendFlags {
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

/** What people call an option, `endpoint` for one: the flag, or its place in a file. */
export type NameOf = (option: string) => string;

const byFlag: NameOf = (option) => `--${option}`;

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
  nameOf: NameOf = byFlag,
): Record<Signal, Destination[]> | null {
  // Also where nothing is sent: a bad header in the arguments was meant for something.
  const given = (flags.header ?? []).map((value) =>
    fromVariable({ value, source: nameOf("header") }, headerFlag, true)!
  );
  const tokenFile = chooseToken(flags.bearerTokenFile, given, nameOf);
  const places = forEachSignal((signal) => choosePlaces(signal, flags, env, nameOf));
  // The variables may be meant for other programs of this environment, so the ones about sending
  // matter only when something is sent.
  if (Object.values(places).every((each) => each.length === 0)) return null;
  return forEachSignal((signal) =>
    places[signal].map((place) => ({
      ...chooseDestination(signal, place, flags, given, env),
      ...(tokenFile === undefined ? {} : { tokenFile }),
    }))
  );
}

function chooseToken(
  path: string | undefined,
  given: readonly Header[],
  nameOf: NameOf,
): string | undefined {
  if (path === undefined) return undefined;
  if (given.some(({ name }) => name.toLowerCase() === "authorization")) {
    throw new ArgumentsExit(
      2,
      "--bearer-token-file and --header authorization=… exclude each other: give one of them",
    );
  }
  try {
    watchToken(path, () => {});
  } catch (error) {
    const reason = printable((error as Error).message, 200);
    const name = nameOf("bearer-token-file");
    throw new ArgumentsExit(2, `${name} "${printable(path, 200)}": ${reason}`);
  }
  return path;
}

/** Where to, and what by: the form of an endpoint depends on the protocol. */
type Place = Pick<Destination, "url" | "protocol">;

function choosePlaces(
  signal: Signal,
  flags: SendFlags,
  env: Environment,
  nameOf: NameOf,
): Place[] {
  const exact = variable(env, signalVariable(signal, "ENDPOINT"));
  const given = exact ?? variable(env, "OTEL_EXPORTER_OTLP_ENDPOINT");
  const settings = flags.endpoint?.map((value) => ({ value, source: nameOf("endpoint") })) ??
    (given === undefined ? [] : [given]);
  if (settings.length === 0) return [];
  const chosen = flags.protocol ?? fromVariable(otlpVariable(env, signal, "PROTOCOL"), protocol) ??
    "http/protobuf";
  const insecure = flags.insecure ?? fromVariable(otlpVariable(env, signal, "INSECURE"), boolean);
  const urls = settings.map((setting) => {
    if (chosen === "grpc") return fromVariable(setting, grpcEndpoint(insecure ?? false))!;
    return fromVariable(setting, setting === exact ? exactEndpoint : baseEndpoint(signal))!;
  });
  const twice = urls.find((url, index) => urls.indexOf(url) < index);
  if (twice !== undefined) {
    throw new ArgumentsExit(
      2,
      `${nameOf("endpoint")} is given twice for ${parseTarget(twice).url}`,
    );
  }
  return urls.map((url) => ({ url, protocol: chosen }));
}

function chooseDestination(
  signal: Signal,
  place: Place,
  flags: SendFlags,
  given: readonly Header[],
  env: Environment,
): Destination {
  const packed = fromVariable(otlpVariable(env, signal, "COMPRESSION"), compression);
  const patience = fromVariable(otlpVariable(env, signal, "TIMEOUT"), timeout);
  const target = parseTarget(place.url);
  const proxy = proxyFor(target, env);
  return {
    ...place,
    headers: chooseHeaders(signal, place.protocol, flags, given, env),
    compression: flags.compression ?? packed ?? "none",
    timeoutMs: flags.timeout ?? patience ?? DEFAULT_TIMEOUT_MS,
    tls: target.secure ? chooseTls(signal, flags, env) : {},
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
  given: readonly Header[],
  env: Environment,
): Header[] {
  const byName = new Map<string, Header>();
  for (const name of ["OTEL_EXPORTER_OTLP_HEADERS", signalVariable(signal, "HEADERS")]) {
    const list = fromVariable(
      variable(env, name),
      (text) => parseHeaderList(text).map(([key, value]) => header(key, value, name)),
      true,
    );
    for (const each of list ?? []) byName.set(each.name.toLowerCase(), each);
  }
  for (const each of given) byName.set(each.name.toLowerCase(), each);
  // A flag wins over a variable: the token of the file is the authorization.
  if (flags.bearerTokenFile !== undefined) byName.delete("authorization");
  const headers = [...byName.values()];
  if (protocol === "grpc") headers.forEach(checkForGrpc);
  return headers;
}

function checkForGrpc({ name, value, source }: Header): void {
  const problem = grpcHeaderProblem(name, value);
  if (problem === undefined) return;
  throw new ArgumentsExit(2, `${source} is invalid. Header "${printable(name, 60)}": ${problem}.`);
}

function chooseTls(signal: Signal, flags: SendFlags, env: Environment): TlsFiles {
  const file = (name: string, flag: string | undefined): string | undefined =>
    flag ?? otlpVariable(env, signal, name)?.value;
  const files = {
    ca: file("CERTIFICATE", flags.caFile),
    cert: file("CLIENT_CERTIFICATE", flags.clientCertFile),
    key: file("CLIENT_KEY", flags.clientKeyFile),
  };
  if ((files.cert === undefined) !== (files.key === undefined)) {
    throw new ArgumentsExit(
      2,
      "--client-cert-file and --client-key-file (or OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and " +
        `OTEL_EXPORTER_OTLP_CLIENT_KEY) go together: for ${signal} only the ` +
        `${files.cert === undefined ? "key" : "certificate"} is set`,
    );
  }
  try {
    watchTls(files, () => {});
  } catch (error) {
    const reason = printable((error as Error).message, 200);
    throw new ArgumentsExit(
      2,
      "--ca-file, --client-cert-file or --client-key-file (or OTEL_EXPORTER_OTLP_CERTIFICATE, " +
        `_CLIENT_CERTIFICATE, _CLIENT_KEY) names a file that can't be used: ${reason}`,
    );
  }
  return files;
}
