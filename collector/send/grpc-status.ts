/**
 * What the end of a gRPC call means by the rules of OTLP/gRPC ("OTLP/gRPC Response" in the OTLP
 * specification): taken, refused for good, or to be sent again.
 *
 * @module
 */
import type { Signal } from "../../lib/otlp/request.ts";
import type { Target } from "../options/endpoint.ts";
import { explainFailure } from "./failure.ts";
import type { HeaderOrigin } from "./headers.ts";
import type { Proxy } from "./proxy.ts";
import {
  CLIENT_CERTIFICATE_HINT,
  credentialsHint,
  decodePartialSuccess,
  judgePartial,
  readFields,
  RESPONSES,
} from "./response.ts";
import { MAX_RETRY_AFTER_MS } from "../../lib/otlp/retry-after.ts";
import type { Answer } from "./retrying.ts";
import { ITEMS } from "../pipeline/signals.ts";
import { firstLine } from "../text/text.ts";

/** How a call ended, other than with a response. */
export interface CallStatus {
  /** A gRPC status code. */
  readonly code: number;
  /** Its message, of the server or of grpc-js. */
  readonly details: string;
  /** `grpc-status-details-bin`: a google.rpc.Status. */
  readonly statusDetails?: Uint8Array;
  /** What went wrong when a connection was last made, of which `details` has only the text. */
  readonly handshakeError?: Error;
}

/** What is needed to explain it. */
export interface CallFacts {
  readonly signal: Signal;
  readonly items: number;
  /** Bytes of the message. */
  readonly bytes: number;
  readonly timeoutMs: number;
  readonly target: Target;
  /** What connections go through. */
  readonly proxy?: Proxy;
  /** Headers the user asked for. */
  readonly headers: readonly HeaderOrigin[];
}

/** Code of the error when a TLS server does not offer HTTP/2. */
export const NO_HTTP2 = "NO_HTTP2";

/** The hint for an endpoint that speaks HTTP/1 only. */
export const HTTP_HINT =
  "this looks like an OTLP/HTTP port (usually 4318); OTLP/gRPC is usually on port 4317; or use " +
  "--protocol http/protobuf";

const NAMES = (
  "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS " +
  "PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED " +
  "INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED"
).split(" ");

/** HTTP 413 Content Too Large, which proxies answer with. */
const TOO_LARGE = 413;

/** The key of answers that are a text. */
export const TEXT = "text";

/** Bytes of a response, decompressed, that are read at most. */
export const MAX_RESPONSE_BYTES = 64 * 1024;

const DEADLINE_EXCEEDED = 4;
const PERMISSION_DENIED = 7;
const RESOURCE_EXHAUSTED = 8;
const OUT_OF_RANGE = 11;
const UNIMPLEMENTED = 12;
const INTERNAL = 13;
const UNAVAILABLE = 14;
const UNAUTHENTICATED = 16;

/**
 * After these the same request may be sent again: CANCELLED, DEADLINE_EXCEEDED, ABORTED,
 * OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS. RESOURCE_EXHAUSTED too, but only with RetryInfo.
 */
const RETRYABLE: ReadonlySet<number> = new Set([1, 4, 10, 11, 14, 15]);

/** What grpc-js says of a connection that broke while it sent: with INTERNAL, though no server said so. */
const BROKEN = "triggered by internal client error";

const RETRY_INFO = /(^|\/)google\.rpc\.RetryInfo$/;

/** The bytes of the fields of one number in a message, as far as it makes sense. */
function submessages(message: Uint8Array, number: number): Uint8Array[] {
  const found: Uint8Array[] = [];
  readFields(message, (each, value) => {
    if (each === number && typeof value !== "bigint") found.push(value);
  });
  return found;
}

/**
 * Milliseconds that the RetryInfo in a google.rpc.Status asks to wait, at most
 * {@linkcode MAX_RETRY_AFTER_MS}; `undefined` when there is none.
 */
export function retryInfoMs(status: Uint8Array): number | undefined {
  for (const any of submessages(status, 3)) {
    const [type] = submessages(any, 1);
    if (type === undefined || !RETRY_INFO.test(new TextDecoder().decode(type))) continue;
    let ms = 0;
    // An Any without a value is a message without fields.
    for (const info of submessages(any, 2)) {
      for (const duration of submessages(info, 1)) {
        readFields(duration, (number, value) => {
          if (typeof value !== "bigint") return;
          if (number === 1) ms += Number(value) * 1000;
          if (number === 2) ms += Number(value) / 1e6;
        });
      }
    }
    return Math.min(MAX_RETRY_AFTER_MS, Math.max(0, ms));
  }
  return undefined;
}

/** The meaning of a response. */
export function judgeResponse(body: Uint8Array, facts: CallFacts): Answer {
  const partial = decodePartialSuccess(body);
  if (partial === undefined) {
    const reason = `the response is no ${RESPONSES[facts.signal]}; taken for a full success`;
    return { kind: "taken", rejected: 0, reason };
  }
  const { rejected, reason } = judgePartial(partial, facts);
  return { kind: "taken", rejected, ...(reason ? { reason } : {}) };
}

/** The meaning of a call's end without a response. */
export function judgeStatus(status: CallStatus, facts: CallFacts): Answer {
  const { code, details, statusDetails } = status;
  const unconnected = explainUnconnected(status, facts);
  if (unconnected !== undefined) return { kind: "retry", ...unconnected };
  if (code === RESOURCE_EXHAUSTED && isText(details)) {
    const reason =
      "a text answered instead of an OTLP/gRPC receiver, of a proxy perhaps, whose log " +
      `says why: it has no backend, or the request is too large (then lower --batch-size), or ` +
      CLIENT_CERTIFICATE_HINT;
    return { kind: "retry", key: TEXT, reason };
  }
  const name = NAMES[code] ?? `status ${code}`;
  const said = firstLine(details);
  const parts = [`gRPC ${name}`];
  if (said !== "") parts.push(`"${said}"`);
  const help = hint(code, details, facts);
  if (help !== "") parts.push(help);
  const failure = { key: `gRPC ${name}`, reason: parts.join("; ") };
  const waitMs = statusDetails === undefined ? undefined : retryInfoMs(statusDetails);
  if (waitMs === undefined && isTooLarge(code, details)) return { kind: "too-large", ...failure };
  if (RETRYABLE.has(code) || (code === RESOURCE_EXHAUSTED && waitMs !== undefined)) {
    return { kind: "retry", ...failure, waitMs };
  }
  return { kind: code === UNIMPLEMENTED ? "unwanted" : "refused", ...failure };
}

/**
 * True when a server has a limit for requests that this one is over. Each implementation has its own
 * words for it; some use OUT_OF_RANGE, though the same request never fits later. The same words of
 * grpc-js are about the response when they name the limit for that.
 */
function isTooLarge(code: number, details: string): boolean {
  if (httpStatusOf(details) === TOO_LARGE) return true;
  if (code !== OUT_OF_RANGE && code !== RESOURCE_EXHAUSTED) return false;
  if (details.includes(` vs ${MAX_RESPONSE_BYTES})`)) return false;
  return /message.*(larger than|too large|exceeds)/is.test(details);
}

/**
 * True when what grpc-js took for the length of a message are four letters. On Deno the data of an
 * answer may come before its head: grpc-js then does not know of the HTTP status of a web page.
 */
function isText(details: string): boolean {
  const length = Number(/larger than max \((\d+) vs/.exec(details)?.[1] ?? 0);
  return [24, 16, 8, 0].every((shift) => {
    const byte = length / 2 ** shift & 0xff;
    return byte >= 0x20 && byte < 0x7f;
  });
}

/** The status of an answer that is HTTP/2 and not gRPC, in the words of grpc-js. */
function httpStatusOf(details: string): number | undefined {
  const status = /HTTP status code (\d+)/i.exec(details)?.[1];
  return status === undefined ? undefined : Number(status);
}

function hint(code: number, details: string, facts: CallFacts): string {
  const { signal } = facts;
  if (code === UNAUTHENTICATED || code === PERMISSION_DENIED) return credentialsHint(facts);
  // What grpc-js makes of an answer that is HTTP/2 and not gRPC.
  const httpStatus = httpStatusOf(details);
  if (httpStatus === 400 && facts.target.secure) {
    return `a proxy may have answered: then ${CLIENT_CERTIFICATE_HINT}; or ${HTTP_HINT}`;
  }
  if (httpStatus === TOO_LARGE) {
    return `the request had ${facts.items} ${ITEMS[signal]} in ${facts.bytes} bytes`;
  }
  if (httpStatus !== undefined) return HTTP_HINT;
  if (code === UNIMPLEMENTED) return `this backend takes no ${signal} over gRPC`;
  if (/(larger than|too large|exceeds)/i.test(details)) {
    return `the request had ${facts.items} ${ITEMS[signal]} in ${facts.bytes} bytes` +
      (signal === "metrics" ? "" : ": lower --batch-size");
  }
  return "";
}

/** Names the likely cause when the server had no part in the status; `undefined` when it had. */
function explainUnconnected(
  { code, details, handshakeError }: CallStatus,
  { target, proxy, timeoutMs }: CallFacts,
): { key: string; reason: string } | undefined {
  const where = `${target.host}:${target.port}`;
  const through = proxy === undefined ? "" : ` through ${proxy.url} (from ${proxy.source})`;
  if (code === DEADLINE_EXCEEDED && details.startsWith("Deadline exceeded after")) {
    // The address is known once there is a connection.
    return details.includes("remote_addr=")
      ? {
        key: "ANSWER_TIMEOUT",
        reason: `${where} is too slow: no answer within ${timeoutMs} ms; see --timeout`,
      }
      : {
        key: "CONNECT_TIMEOUT",
        reason: `${where} does not accept gRPC connections${through} (none within ${timeoutMs} ms)`,
      };
  }
  if (code === INTERNAL && details.includes(BROKEN)) {
    return { key: "CLOSED", reason: `the connection to ${where} broke (${firstLine(details)})` };
  }
  if (code !== UNAVAILABLE) return undefined;
  if (details.startsWith("Name resolution failed")) {
    const { host } = proxy ?? target;
    const from = proxy === undefined ? "" : ` (from ${proxy.source})`;
    return { key: "ENOTFOUND", reason: `the name "${host}"${from} can't be looked up` };
  }
  const failure = /Last error: (.*?)( \(\d{4}-[^)]*\))?\. Resolution note/s.exec(details);
  if (failure === null) return undefined;
  const text = failure[1].replace(/^Error: /, "");
  const known = handshakeError !== undefined && text.includes(handshakeError.message);
  const error: Error & { code?: unknown } = known ? handshakeError : systemError(text);
  if (error.code === NO_HTTP2 || /NoApplicationProtocol|NO_APPLICATION_PROTOCOL/.test(text)) {
    return { key: NO_HTTP2, reason: `the server does not offer HTTP/2: ${HTTP_HINT}` };
  }
  if (/^Protocol error/.test(text)) {
    return { key: NO_HTTP2, reason: `the answer is not HTTP/2: ${HTTP_HINT}` };
  }
  if (/^(Failed to connect|Socket closed|Connection closed)|ECONNRESET|EPIPE/.test(text)) {
    const tls = target.secure ? "TLS" : "TLS (https://)";
    return {
      key: "CLOSED",
      reason:
        `${where} closed the connection${through} without an answer; does this port speak ${tls}, or ` +
        "OTLP/HTTP (usually 4318; --protocol http/protobuf)?",
    };
  }
  const { key, message } = explainFailure(error, target, proxy);
  return { key, reason: message };
}

function systemError(text: string): Error & { code?: unknown } {
  return Object.assign(new Error(text), { code: /\bE[A-Z]{4,}\b/.exec(text)?.[0] });
}
