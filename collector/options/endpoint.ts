/**
 * Where to send: the URL as users give it, taken apart.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { Signal } from "../../lib/otlp/request.ts";
import { forEachSignal, PATHS } from "../pipeline/signals.ts";

/** A URL ready to be connected and posted to. */
export interface Target {
  /** The URL without credentials, for messages. */
  readonly url: string;
  /** True for https. */
  readonly secure: boolean;
  /** Host name or address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** Path and query of the request line. */
  readonly path: string;
  /** Value of the Host header. */
  readonly hostHeader: string;
  /** Value of the Authorization header when the URL holds user name and password. */
  readonly authorization?: string;
}

/** What a base URL may end in that is meant for one signal. */
const SIGNAL_PATH = new RegExp(`(^|/)(${Object.values(PATHS).join("|")})$`);

/**
 * The text as messages may show it: without user name and password, whatever is in these, and without
 * a query, where keys are.
 */
export function withoutCredentials(text: string): string {
  return text.replace(/^([a-z]+:\/\/)?.*@/is, "$1…@").replace(/\?.+$/s, "?…");
}

function parseUrl(text: string): URL {
  const shown = withoutCredentials(text);
  if (!/^https?:\/\//i.test(text)) {
    // The form of gRPC endpoints, with a path perhaps.
    const isBare = /^(\[[0-9a-f:.]+\]|[^\s:/?#@[\]]+)(:\d{1,5})?(\/[^\s?#@]*)?$/i.test(text);
    throw new Error(
      `"${shown}" is not a URL that starts with http:// or https://` +
        (isBare ? `: write http://${text}, or https:// with TLS` : ""),
    );
  }
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new Error(`"${shown}" is not a valid URL`);
  }
  try {
    decodeURIComponent(`${url.username}:${url.password}`);
  } catch {
    throw new Error(
      `"${shown}" has a % in its user name or password that encodes nothing: write %25 for it`,
    );
  }
  return url;
}

/**
 * The URLs that signals go to under a base URL: `v1/traces` and so on are appended (OpenTelemetry
 * specification, "Endpoint URLs for OTLP/HTTP"). A base that ends in one of these is taken for what
 * it is without: people give the URL that they know from traces.
 *
 * @throws Error when the text is no http or https URL.
 */
export function signalUrls(base: string): Record<Signal, string> {
  const url = parseUrl(base);
  const path = url.pathname.replace(/\/+$/, "").replace(SIGNAL_PATH, "").replace(/\/+$/, "");
  url.hash = "";
  return forEachSignal((signal) => {
    url.pathname = `${path}/${PATHS[signal]}`;
    return url.href;
  });
}

/**
 * A URL that is used as it is (`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` and its siblings).
 *
 * @throws Error when the text is no http or https URL.
 */
export function exactUrl(text: string): string {
  const url = parseUrl(text);
  url.hash = "";
  return url.href;
}

/** The port of OTLP/gRPC. */
const GRPC_PORT = 4317;

/**
 * The URL that stands for a gRPC endpoint: its scheme says whether TLS is used, and it has a port.
 * `host:port` and `host` are endpoints too. The port is 4317 unless it is given, but 443 for https,
 * as in every URL.
 *
 * @param insecure No TLS where no scheme says so (OpenTelemetry specification, "Insecure").
 * @throws Error when the text is no such endpoint.
 */
export function grpcUrl(text: string, insecure: boolean): string {
  const shown = withoutCredentials(text);
  const bare = /^(\[[0-9a-f:.]+\]|[^\s:/?#@[\]]+)(:\d{1,5})?$/i.test(text);
  if (!bare && !/^https?:\/\//i.test(text)) {
    throw new Error(
      `"${shown}" is neither HOST:PORT nor a URL that starts with http:// or https://`,
    );
  }
  const full = bare ? `${insecure ? "http" : "https"}://${text}` : text;
  const url = parseUrl(full);
  const path = url.pathname + url.search;
  if (path !== "/") throw new Error(`"${shown}" has a path, and gRPC endpoints have none`);
  // A URL drops a given port that is the default of its scheme; with the other scheme it is there.
  const secure = url.protocol === "https:";
  const other = new URL(full.replace(/^https?/i, secure ? "http" : "https"));
  url.port = url.port || other.port || String(secure && !bare ? 443 : GRPC_PORT);
  url.hash = "";
  return url.href;
}

/**
 * Takes a URL apart.
 *
 * @throws Error when the text is no http or https URL.
 */
export function parseTarget(text: string): Target {
  const url = parseUrl(text);
  const secure = url.protocol === "https:";
  const target = {
    secure,
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port === "" ? (secure ? 443 : 80) : Number(url.port),
    path: url.pathname + url.search,
    hostHeader: url.host,
  };
  const shown = `${url.protocol}//${url.host}${url.pathname}`;
  if (url.username === "" && url.password === "") return { ...target, url: shown };
  const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  const authorization = `Basic ${Buffer.from(credentials, "utf8").toString("base64")}`;
  return { ...target, url: shown, authorization };
}
