/**
 * The body of a request over HTTP, read, decompressed and brought into protobuf, with a bound on
 * each.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";
import { gunzipSync } from "node:zlib";
import type { Signal } from "../../lib/otlp/request.ts";
import { fromOtlpJson } from "../text/otlp-json.ts";
import { printable } from "../text/text.ts";
import { checkJson, TooMuch } from "./check.ts";
import { type Intake, MAX_BODY_BYTES } from "./intake.ts";
import type { Encoding, Failure } from "./respond.ts";

/** Bytes of JSON at most: it takes far more memory parsed. */
export const MAX_JSON_BYTES = 4 << 20;

/** Bytes of a body that are passed without being kept. */
const MAX_PASSED_BYTES = 64 << 20;

/** The bytes, or why there are none; `null` when nobody waits for an answer any more. */
export type Read = Uint8Array | Failure | null;

const tooLarge = (limit: number): Failure => ({
  kind: "too_large",
  reason: `a body may have ${limit >> 20} MiB at most, decompressed: send smaller batches`,
});

/**
 * Reads the body as it is sent. Room is reserved as it comes: `reserved` counts it, and whoever
 * called this gives it back.
 */
export async function readBody(
  request: IncomingMessage,
  intake: Pick<Intake, "reserve">,
  reserved: (bytes: number) => void,
): Promise<Read> {
  if (Number(request.headers["content-length"] ?? 0) > MAX_BODY_BYTES) {
    return tooLarge(MAX_BODY_BYTES);
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Not by iteration, which would destroy the connection before there is an answer.
  return await new Promise((resolve) => {
    request.on("data", (chunk: Uint8Array) => {
      length += chunk.length;
      if (length > MAX_BODY_BYTES) return stop(tooLarge(MAX_BODY_BYTES));
      if (!intake.reserve(chunk.length)) {
        return stop({ kind: "busy", reason: "too many requests are being read" });
      }
      reserved(chunk.length);
      chunks.push(chunk);
    });
    request.on("end", () => resolve(Buffer.concat(chunks)));
    request.on("error", () => resolve(null));
    request.on("close", () => resolve(null));

    function stop(failure: Failure): void {
      request.removeAllListeners("data");
      chunks.length = 0;
      resolve(failure);
    }
  });
}

/**
 * Passes what is left of a body that was refused: were the connection closed while it is sent, its
 * sender would not see why. Of one that does not end, only so much.
 */
export async function passRest(request: IncomingMessage): Promise<void> {
  if (request.readableEnded || request.destroyed) return;
  let length = 0;
  await new Promise<void>((resolve) => {
    request.on("data", (chunk: Uint8Array) => {
      length += chunk.length;
      if (length > MAX_PASSED_BYTES) resolve();
    });
    request.on("end", resolve);
    request.on("close", resolve);
    request.resume();
  });
}

/** What a body says in protobuf. */
export function decodeBody(
  signal: Signal,
  sent: Uint8Array,
  { encoding, isPacked }: { encoding: Encoding; isPacked: boolean },
): Uint8Array | Failure {
  const isJson = encoding === "application/json";
  const limit = isJson ? MAX_JSON_BYTES : MAX_BODY_BYTES;
  let body = sent;
  if (isPacked) {
    try {
      // One at a time, so that there is no more memory in use for it than for one.
      body = gunzipSync(sent, { maxOutputLength: limit });
    } catch (error) {
      if ((error as { code?: string }).code === "ERR_BUFFER_TOO_LARGE") return tooLarge(limit);
      return { kind: "malformed", reason: "the body is not gzip, as its header says" };
    }
  }
  if (body.length > limit) return tooLarge(limit);
  if (!isJson) return body;
  try {
    checkJson(body);
    return fromOtlpJson(signal, new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (error) {
    const { message } = error as Error;
    if (error instanceof TooMuch) return { kind: "too_large", reason: message };
    return { kind: "malformed", reason: `the body is no OTLP/JSON: ${printable(message, 300)}` };
  }
}
