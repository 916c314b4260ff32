/**
 * What a client is told of its request, in HTTP and in gRPC, and what the outcome of its delivery
 * means for it ("OTLP/gRPC Response", "OTLP/HTTP Response" in the OTLP specification).
 *
 * @module
 */
import type { Outcome } from "../send/send.ts";

/** Why a request was not taken. */
export type Refusal =
  | "malformed"
  | "refused"
  | "too_large"
  | "busy"
  | "forbidden"
  | "media_type"
  | "method"
  | "path"
  | "timeout";

/** What is answered. */
export type Reply =
  | {
    readonly kind: "taken";
    /** Items that were refused all the same. */
    readonly rejected: number;
    /** Why; "" where there is nothing to tell. */
    readonly reason: string;
  }
  | { readonly kind: Refusal; readonly reason: string };

/** Everything was taken. */
export const TAKEN: Reply = { kind: "taken", rejected: 0, reason: "" };

/** The status of HTTP, and the code of google.rpc.Status, for each refusal. */
export const CODES: Readonly<Record<Refusal, readonly [http: number, rpc: number]>> = {
  malformed: [400, 3 /* INVALID_ARGUMENT */],
  refused: [400, 3],
  too_large: [413, 8 /* RESOURCE_EXHAUSTED: without RetryInfo, so not again */],
  busy: [503, 14 /* UNAVAILABLE */],
  forbidden: [403, 7 /* PERMISSION_DENIED */],
  media_type: [415, 3],
  method: [405, 12 /* UNIMPLEMENTED */],
  path: [404, 12],
  timeout: [408, 4 /* DEADLINE_EXCEEDED */],
};

/** A client that is told to come again is told when: after so many seconds. */
export const RETRY_SECONDS = 2;

/** What became of a request, as its client should see it. */
export function replyTo({ accepted, rejected, dropped, filtered, gaveUp, reason }: Outcome): Reply {
  const why = reason ?? "";
  // It was not refused: it can come again. What was taken of it comes twice then, which is better
  // than that the rest is lost.
  if (gaveUp) return { kind: "busy", reason: why };
  // Items that the configuration leaves out are what it wants.
  if (accepted + rejected + (filtered ?? 0) === 0 && dropped > 0) {
    return { kind: "refused", reason: why };
  }
  return { kind: "taken", rejected: rejected + dropped, reason: why };
}
