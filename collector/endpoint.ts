/**
 * Where to send: the URL as users give it, taken apart.
 *
 * @module
 */
import { Buffer } from "node:buffer";

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

const TRACES_PATH = "v1/traces";

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
 * The URL that traces go to under a base URL: `v1/traces` is appended, unless the path already ends
 * in it (OpenTelemetry specification, "Endpoint URLs for OTLP/HTTP").
 *
 * @throws Error when the text is no http or https URL.
 */
export function tracesUrl(base: string): string {
  const url = parseUrl(base);
  const path = url.pathname.replace(/\/+$/, "");
  url.pathname = path.endsWith(`/${TRACES_PATH}`) ? path : `${path}/${TRACES_PATH}`;
  url.hash = "";
  return url.href;
}

/**
 * A URL that is used as it is (`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`).
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
