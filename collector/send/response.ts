/**
 * What a backend's answer means by the rules of OTLP/HTTP ("OTLP/HTTP Response" in the OTLP
 * specification): taken, refused for good, or to be sent again.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { Signal } from "../../lib/otlp/request.ts";
import type { HttpResponse } from "./connection.ts";
import type { HeaderOrigin } from "./headers.ts";
import { ITEMS, PATHS } from "../pipeline/signals.ts";
import { firstLine, printable } from "../text/text.ts";

/** What `partial_success` of a response says, which has the same fields for every signal. */
export interface PartialSuccess {
  /** Items that were refused. Not checked against what was sent. */
  readonly rejected: number;
  readonly message: string;
}

/** The meaning of an answer. */
export interface Verdict {
  /** `taken`: don't send again. `refused`: never send again. `retry`: send again later. */
  readonly kind: "taken" | "refused" | "retry";
  /** For `taken`, items the backend refused, from 0 to the number sent. */
  readonly rejected: number;
  /** What to tell people; absent when there is nothing to tell. */
  readonly reason?: string;
}

/** What is needed to explain an answer. */
export interface RequestFacts {
  /** What was sent, and how many items of it. */
  readonly signal: Signal;
  readonly items: number;
  /** Bytes of its body as sent. */
  readonly bytes: number;
  /** Path of the request. */
  readonly path: string;
  /** Headers the user asked for, to name them when the backend won't have them. */
  readonly headers: readonly HeaderOrigin[];
}

/** The status codes after which the same request may be sent again (OTLP "Retryable Response Codes"). */
export const RETRYABLE: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/** The status codes that say that there is nothing for this signal at this path. */
export const UNKNOWN_PATH: ReadonlySet<number> = new Set([404, 405, 501]);

/** The hint for an endpoint that speaks HTTP/2 only. */
export const GRPC_HINT =
  "this looks like the gRPC port (usually 4317); OTLP/HTTP is usually on port 4318; or use " +
  "--protocol grpc";

/** The hint where the server refuses a client for its certificate. */
export const CLIENT_CERTIFICATE_HINT =
  "it wants a valid client certificate: see OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and " +
  "OTEL_EXPORTER_OTLP_CLIENT_KEY";

/** The messages that answer a request. */
export const RESPONSES: Readonly<Record<Signal, string>> = {
  traces: "ExportTraceServiceResponse",
  metrics: "ExportMetricsServiceResponse",
  logs: "ExportLogsServiceResponse",
};

const STATUS_NAMES: Record<number, string> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  429: "Too Many Requests",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
};

// ---------------------------------------------------------------------- protobuf, read with care

/**
 * Calls `field(number, value)` for the varint (bigint) and length-delimited (bytes) fields of a
 * message. Stops quietly where the bytes make no sense; returns false then.
 */
export function readFields(
  bytes: Uint8Array,
  field: (number: number, value: bigint | Uint8Array) => void,
): boolean {
  let at = 0;

  function varint(): bigint | undefined {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (at >= bytes.length) return undefined;
      const byte = bytes[at++];
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, value);
    }
    return undefined;
  }

  while (at < bytes.length) {
    const tag = varint();
    if (tag === undefined || tag < 8n || tag > 0xffff_ffffn) return false;
    const number = Number(tag >> 3n);
    const wireType = Number(tag & 7n);
    if (wireType === 0) {
      const value = varint();
      if (value === undefined) return false;
      field(number, value);
    } else if (wireType === 2) {
      const length = varint();
      if (length === undefined || length < 0n || length > BigInt(bytes.length - at)) return false;
      const end = at + Number(length);
      field(number, bytes.subarray(at, end));
      at = end;
    } else if (wireType === 1 || wireType === 5) {
      at += wireType === 1 ? 8 : 4;
      if (at > bytes.length) return false;
    } else {
      return false;
    }
  }
  return true;
}

function utf8(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
}

/** Decodes an export response; `undefined` when the bytes are something else. */
export function decodePartialSuccess(body: Uint8Array): PartialSuccess | undefined {
  let rejected = 0;
  let message = "";
  let whole = true;
  const sound = readFields(body, (number, value) => {
    if (number !== 1 || typeof value === "bigint") return;
    whole = readFields(value, (inner, content) => {
      if (inner === 1 && typeof content === "bigint") rejected = Number(content);
      if (inner === 2 && typeof content !== "bigint") message = utf8(content);
    }) && whole;
  });
  return sound && whole ? { rejected, message } : undefined;
}

/** The message of a `google.rpc.Status`; `undefined` when the bytes are something else or have none. */
export function decodeStatusMessage(body: Uint8Array): string | undefined {
  let message: string | undefined;
  const sound = readFields(body, (number, value) => {
    if (number === 2 && typeof value !== "bigint") message = utf8(value);
  });
  return sound ? message : undefined;
}

// ------------------------------------------------------------------------------------------- JSON

function json(body: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(utf8(body));
    return typeof value === "object" && value !== null
      ? value as Record<string, unknown>
      : undefined;
  } catch {
    return undefined;
  }
}

function jsonPartialSuccess(body: Uint8Array): PartialSuccess | undefined {
  const value = json(body);
  if (value === undefined) return undefined;
  const partial = (value.partialSuccess ?? value.partial_success ?? {}) as Record<string, unknown>;
  const rejected = Number(
    partial.rejectedSpans ?? partial.rejected_spans ??
      partial.rejectedLogRecords ?? partial.rejected_log_records ??
      partial.rejectedDataPoints ?? partial.rejected_data_points ?? 0,
  );
  const message = partial.errorMessage ?? partial.error_message;
  return { rejected, message: typeof message === "string" ? message : "" };
}

// ----------------------------------------------------------------------------------------- meaning

function mediaType(response: HttpResponse): string {
  return (response.headers.get("content-type") ?? "").split(";")[0].trim().toLowerCase();
}

/** What the server says about an error, in one printable line; empty when it says nothing. */
function serverMessage(response: HttpResponse): string {
  const type = mediaType(response);
  const { body } = response;
  if (body.length === 0) return "";
  if (type === "application/x-protobuf" || type === "application/protobuf") {
    return firstLine(decodeStatusMessage(body) ?? "");
  }
  if (type === "application/json") {
    const value = json(body);
    const message = value?.message ?? value?.error;
    if (typeof message === "string") return firstLine(message);
  }
  const text = utf8(body);
  if (type === "text/html") {
    return firstLine(/<title[^>]*>([^<]*)<\/title>/i.exec(text)?.[1] ?? "a web page");
  }
  // Not said to be text: a protobuf message, perhaps.
  if (!type.startsWith("text/") && /(?!\s)[\p{Cc}\ufffd]/u.test(text)) {
    return firstLine(decodeStatusMessage(body) ?? "");
  }
  return firstLine(text);
}

/** What to look at when the backend refuses credentials: names and sources of headers, no values. */
export function credentialsHint(facts: Pick<RequestFacts, "headers">): string {
  if (facts.headers.length === 0) {
    return "no header with credentials is set: give one with --header NAME=VALUE or " +
      "--bearer-token-file (in a configuration file header and bearer_token_file of collect), or in " +
      "OTEL_EXPORTER_OTLP_HEADERS";
  }
  const names = facts.headers.map(({ name, source }) => `${name} (from ${source})`).join(", ");
  return `check the credentials in ${names}`;
}

function hint(status: number, response: HttpResponse, facts: RequestFacts): string {
  const text = utf8(response.body.subarray(0, 512));
  const type = mediaType(response);
  if (type.startsWith("application/grpc")) return GRPC_HINT;
  if (status === 400 && /https server|plain http request/i.test(text)) {
    return "this port speaks TLS: use https:// in the endpoint";
  }
  // nginx shakes hands with clients that have no certificate, or a wrong one, and then says so.
  if (status === 400 && /SSL certificate/i.test(text)) return CLIENT_CERTIFICATE_HINT;
  if (status >= 300 && status < 400) {
    const location = response.headers.get("location");
    const where = location === undefined ? "elsewhere" : `to ${printable(location, 200)}`;
    return `the server redirects ${where}; redirects are not followed: set the endpoint to the ` +
      "final address";
  }
  if (status === 401 || status === 403) return credentialsHint(facts);
  if (UNKNOWN_PATH.has(status)) {
    const { signal } = facts;
    const usual = `/${PATHS[signal]}`;
    const what = signal === "traces" ? "nothing takes traces" : `this backend takes no ${signal}`;
    return `${what} at ${printable(facts.path, 200)}: OTLP/HTTP receivers usually take them at ` +
      `${usual} (--${signal}-endpoint and OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_ENDPOINT are used ` +
      `exactly as they are, --endpoint and OTEL_EXPORTER_OTLP_ENDPOINT get ${usual} appended)`;
  }
  if (status === 413) {
    return `the request had ${facts.items} ${ITEMS[facts.signal]} in ${facts.bytes} bytes` +
      (facts.signal === "metrics" ? ": try --compression gzip" : ": lower --batch-size");
  }
  if (status === 415) {
    return "the server does not take OTLP in this form: try another --protocol, or " +
      "--compression none";
  }
  return "";
}

/** The meaning of an answer to a request. */
export function judge(response: HttpResponse, facts: RequestFacts): Verdict {
  const { status } = response;
  if (status >= 200 && status < 300) return judgeSuccess(response, facts);
  const name = STATUS_NAMES[status];
  const parts = [`HTTP ${status}${name === undefined ? "" : ` ${name}`}`];
  const said = serverMessage(response);
  if (said !== "") parts.push(`the server says "${said}"`);
  const help = hint(status, response, facts);
  if (help !== "") parts.push(help);
  return {
    kind: RETRYABLE.has(status) ? "retry" : "refused",
    rejected: 0,
    reason: parts.join("; "),
  };
}

function judgeSuccess(response: HttpResponse, facts: RequestFacts): Verdict {
  const { body } = response;
  const type = mediaType(response);
  if (type === "text/html") {
    // A captive portal or the wrong virtual host: no OTLP receiver answers so, nothing was taken.
    const reason =
      `a web page ("${serverMessage(response)}") answered instead of an OTLP receiver; ` +
      `check host, port and path (${printable(facts.path, 200)})`;
    return { kind: "retry", rejected: 0, reason };
  }
  if (type.startsWith("application/grpc")) {
    return { kind: "retry", rejected: 0, reason: GRPC_HINT };
  }
  if (body.length === 0) return { kind: "taken", rejected: 0 };
  const partial = type === "application/json"
    ? jsonPartialSuccess(body)
    : decodePartialSuccess(body);
  if (partial === undefined) {
    // A plain "OK" is common, and 200 means taken.
    if (type.startsWith("text/")) return { kind: "taken", rejected: 0 };
    return {
      kind: "taken",
      rejected: 0,
      reason: `HTTP ${response.status} with a body that is no ${RESPONSES[facts.signal]}; ` +
        "taken for a full success",
    };
  }
  return judgePartial(partial, facts);
}

/** The meaning of an export response. */
export function judgePartial(
  partial: PartialSuccess,
  facts: Pick<RequestFacts, "items" | "signal">,
): Verdict {
  const wanted = Number.isFinite(partial.rejected) ? Math.trunc(partial.rejected) : 0;
  const rejected = Math.min(facts.items, Math.max(0, wanted));
  const said = firstLine(partial.message);
  if (rejected === 0 && said === "") return { kind: "taken", rejected: 0 };
  const saying = said === "" ? "" : `: the server says "${said}"`;
  const reason = rejected === 0
    ? `the backend took everything with a warning${saying}`
    : `the backend rejected ${rejected} of ${facts.items} ${ITEMS[facts.signal]}${saying}`;
  return { kind: "taken", rejected, reason };
}
