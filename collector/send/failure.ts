/**
 * Names the likely cause when no HTTP answer came.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { NotHttpError } from "./connection.ts";
import type { Target } from "../options/endpoint.ts";
import type { Proxy } from "./proxy.ts";
import { GRPC_HINT } from "./response.ts";
import { firstLine } from "../text/text.ts";

/** A failure, explained. */
export interface Failure {
  /** The same for failures of the same kind. */
  readonly key: string;
  /** What happened and what to do, one line. */
  readonly message: string;
}

const GRPC_PORT = 4317;
const HTTP2_PREFACE = "PRI * HTTP/2";
const HTTP2_SETTINGS = 4;
const HTTP2_GOAWAY = 7;

/** True when the bytes start like an HTTP/2 connection (RFC 9113 §3.4): a SETTINGS or GOAWAY frame. */
function isHttp2(bytes: Uint8Array): boolean {
  if (Buffer.from(bytes).toString("latin1").startsWith(HTTP2_PREFACE)) return true;
  if (bytes.length < 9) return false;
  const length = bytes[0] * 65_536 + bytes[1] * 256 + bytes[2];
  const onStreamZero = bytes[5] === 0 && bytes[6] === 0 && bytes[7] === 0 && bytes[8] === 0;
  return onStreamZero && length < 16_385 &&
    (bytes[3] === HTTP2_SETTINGS || bytes[3] === HTTP2_GOAWAY);
}

/** True when the bytes start like a TLS record: an alert or a handshake. */
function isTls(bytes: Uint8Array): boolean {
  return bytes.length >= 3 && (bytes[0] === 0x15 || bytes[0] === 0x16) && bytes[1] === 3;
}

function explainNotHttp(error: NotHttpError): Failure {
  if (isHttp2(error.received)) {
    return { key: "http2", message: `the answer is HTTP/2: ${GRPC_HINT}` };
  }
  if (isTls(error.received)) {
    return { key: "tls-port", message: "this port speaks TLS: use https:// in the endpoint" };
  }
  const start = firstLine(Buffer.from(error.received).toString("latin1"), 40);
  const shown = error.received.length === 0 ? "" : ` (it starts with "${start}")`;
  return {
    key: "not-http",
    message: `${error.message}${shown}: is this the port of an OTLP/HTTP receiver?`,
  };
}

function explainTls(code: string, text: string, target: Target): string | undefined {
  if (/ALTNAME|NotValidForName|Hostname\/IP|not valid for name/i.test(code + text)) {
    return `the server's certificate is not made out for "${target.host}"`;
  }
  if (/EXPIRED|Expired/.test(code + text)) return "the server's certificate has expired";
  if (/NOT_YET_VALID|NotValidYet/.test(code + text)) {
    return "the server's certificate is not valid yet";
  }
  if (
    /SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER|UnknownIssuer|CaUsedAsEndEntity/.test(
      code + text,
    )
  ) {
    return "the server's certificate is signed by nobody trusted here: name its authority's " +
      "certificate with --ca-file or in OTEL_EXPORTER_OTLP_CERTIFICATE";
  }
  if (
    /CERTIFICATE_REQUIRED|CertificateRequired|HANDSHAKE_FAILURE|HandshakeFailure/i.test(code + text)
  ) {
    return "the server refused the TLS handshake; it may want a client certificate: see " +
      "--client-cert-file and --client-key-file, or OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY";
  }
  if (
    /WRONG_VERSION_NUMBER|PACKET_LENGTH|InvalidContentType|InvalidMessage|corrupt message/i.test(
      code + text,
    )
  ) {
    return "the server does not speak TLS on this port: use http:// in the endpoint";
  }
  if (/SSL|TLS|certificate/i.test(code + text)) return "the TLS handshake failed";
  return undefined;
}

/** Names the cause of an error of {@linkcode ./connection.ts}. */
export function explainFailure(
  error: Error & { code?: unknown },
  target: Target,
  proxy?: Proxy,
): Failure {
  if (error instanceof NotHttpError) return explainNotHttp(error);
  const code = typeof error.code === "string" ? error.code : "";
  // With a proxy in between, names are looked up and connections refused on the way to that.
  const { host, port } = proxy ?? target;
  const where = proxy === undefined
    ? `${host}:${port}`
    : `${host}:${port}, the proxy of ${proxy.source},`;
  const of = proxy === undefined ? "" : ` (from ${proxy.source})`;
  const key = code === "" ? "error" : code;
  switch (code) {
    case "ECONNREFUSED":
      return { key, message: `nothing listens at ${where} (connection refused)` };
    case "ENOTFOUND":
    case "EAI_NONAME":
      return { key, message: `no host is named "${host}"${of}` };
    case "EAI_AGAIN":
      return { key, message: `the name "${host}"${of} can't be looked up just now` };
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return { key, message: `there is no route to ${where} (${code})` };
    case "CONNECT_TIMEOUT":
    case "ETIMEDOUT":
      return { key, message: `${where} does not accept connections (${error.message})` };
    case "PROXY_REFUSED":
      return { key, message: error.message };
    case "ANSWER_TIMEOUT":
      return { key, message: `${where} is too slow: ${error.message}; see --timeout` };
    case "CLOSED":
    case "ECONNRESET":
    case "EPIPE":
      return { key: "CLOSED", message: explainClosed(error, code, target, proxy) };
  }
  const text = firstLine(error.message);
  const cause = target.secure ? explainTls(code, text, target) : undefined;
  const detail = code === "" || text.includes(code) ? text : `${code}: ${text}`;
  return cause === undefined
    ? { key, message: `cannot send to ${where}: ${detail}` }
    : { key, message: `${cause} (${detail})` };
}

function explainClosed(error: Error, code: string, target: Target, proxy?: Proxy): string {
  const what = code === "CLOSED" ? error.message : `the connection was reset (${code})`;
  if (proxy !== undefined) {
    return `${what}, by the server or by the proxy ${proxy.url} (from ${proxy.source})`;
  }
  if (target.port === GRPC_PORT) return `${what}; ${GRPC_HINT}`;
  if (target.secure) return `${what}; does this port speak TLS?`;
  return `${what}; the server may speak TLS (https://) or gRPC on this port, or find the request too ` +
    "large (then lower --batch-size)";
}
