/**
 * Where to send: the URL as users give it, taken apart.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { Signal } from "../lib/otlp/request.ts";
import { forEachSignal, PATHS } from "./signals.ts";

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

function parseUrl(text: string): URL {
  if (!/^https?:\/\//i.test(text)) {
    throw new Error(`"${text}" is not a URL that starts with http:// or https://`);
  }
  try {
    return new URL(text);
  } catch {
    throw new Error(`"${text}" is not a valid URL`);
  }
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
