/**
 * Where each signal goes, and how: flags first, then the variable for the signal, then the one for
 * all of them.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import type { Signal } from "../lib/otlp/request.ts";
import {
  ArgumentsExit,
  baseEndpoint,
  compression,
  duration,
  exactEndpoint,
  fromVariable,
  header,
  headerFlag,
  protocol,
} from "./arguments.ts";
import type { TlsMaterial } from "./connection.ts";
import { parseTarget, signalUrls } from "./endpoint.ts";
import type { Header } from "./send.ts";
import { forEachSignal } from "./signals.ts";
import { printable } from "./text.ts";
import {
  type Environment,
  otlpVariable,
  parseHeaderList,
  signalVariable,
  variable,
} from "./variables.ts";

/** How the requests of one signal are sent. */
export interface Destination {
  /** The URL that is posted to. */
  readonly url: string;
  /** Request headers, of which each name occurs once. */
  readonly headers: readonly Header[];
  readonly compression: "gzip" | "none";
  /** For one attempt to send, milliseconds. */
  readonly timeoutMs: number;
  /** PEM texts for https. */
  readonly tls: TlsMaterial;
}

/** The flags about sending. */
export interface SendFlags {
  endpoint?: string;
  protocol?: string;
  header?: string[];
  compression?: "gzip" | "none";
  timeout?: number;
}

const DEFAULT_TIMEOUT_MS = 10_000;

/**
 * A destination for each signal, null for one that nothing names an endpoint for; null altogether
 * when no endpoint is named at all.
 *
 * @throws ArgumentsExit when a variable is bad.
 */
export function chooseDestinations(
  flags: SendFlags,
  env: Environment,
): Record<Signal, Destination | null> | null {
  // Also where nothing is sent: a bad header in the arguments was meant for something.
  const given = (flags.header ?? []).map((value) =>
    fromVariable({ value, source: "--header" }, headerFlag, true)!
  );
  const urls = forEachSignal((signal) => chooseUrl(signal, flags, env));
  // The variables may be meant for other programs of this environment, so the ones about sending
  // matter only when something is sent.
  if (Object.values(urls).every((url) => url === undefined)) return null;
  return forEachSignal((signal) => {
    const url = urls[signal];
    return url === undefined ? null : chooseDestination(signal, url, flags, given, env);
  });
}

function chooseUrl(signal: Signal, flags: SendFlags, env: Environment): string | undefined {
  if (flags.endpoint !== undefined) return signalUrls(flags.endpoint)[signal];
  const exact = fromVariable(variable(env, signalVariable(signal, "ENDPOINT")), exactEndpoint);
  if (exact !== undefined) return exact;
  const base = fromVariable(variable(env, "OTEL_EXPORTER_OTLP_ENDPOINT"), baseEndpoint);
  return base === undefined ? undefined : signalUrls(base)[signal];
}

function chooseDestination(
  signal: Signal,
  url: string,
  flags: SendFlags,
  given: readonly Header[],
  env: Environment,
): Destination {
  if (flags.protocol === undefined) fromVariable(otlpVariable(env, signal, "PROTOCOL"), protocol);
  const packed = fromVariable(otlpVariable(env, signal, "COMPRESSION"), compression);
  const patience = fromVariable(otlpVariable(env, signal, "TIMEOUT"), duration);
  return {
    url,
    headers: chooseHeaders(signal, given, env),
    compression: flags.compression ?? packed ?? "none",
    timeoutMs: flags.timeout ?? patience ?? DEFAULT_TIMEOUT_MS,
    tls: parseTarget(url).secure ? chooseTls(signal, env) : {},
  };
}

function chooseHeaders(signal: Signal, given: readonly Header[], env: Environment): Header[] {
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
  return [...byName.values()];
}

function chooseTls(signal: Signal, env: Environment): TlsMaterial {
  const read = (name: string): string | undefined => {
    const setting = otlpVariable(env, signal, name);
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
        `for ${signal} only the ${material.cert === undefined ? "key" : "certificate"} is set`,
    );
  }
  return material;
}
