/**
 * Sends batches to an OTLP backend and keeps trying by the rules of OTLP.
 *
 * @module
 */
import type { Signal } from "../../lib/otlp/request.ts";
import { createGrpcTransport } from "./grpc.ts";
import type { Header } from "./headers.ts";
import { createHttpTransport } from "./http.ts";
import type { Log } from "./problems.ts";
import type { Proxy } from "./proxy.ts";
import { type Backoff, DEFAULT_BACKOFF } from "./retry.ts";
import { createRetrying } from "./retrying.ts";
import type { TlsSource } from "./tls.ts";
import type { Authorization } from "./token.ts";
import type { Part } from "./split.ts";

/** The protocols of OTLP, as OpenTelemetry's variables name them. */
export type Protocol = "grpc" | "http/protobuf" | "http/json";

/**
 * What became of a batch. `accepted + rejected + dropped`, what was filtered and what was stored
 * is the number of its items.
 */
export interface Outcome {
  /** Items (spans, data points, log records) the backend took. */
  accepted: number;
  /** Items that it refused: part of a request that it took, or a signal that it does not take. */
  rejected: number;
  /** Items that were not delivered: the request was refused for good, or retrying was given up. */
  dropped: number;
  /** Items that the configuration leaves out. */
  filtered?: number;
  /** Items that are safe on the disk, and sent from there: their outcome is told later. */
  stored?: number;
  /** Why items were rejected or dropped, or what the backend warns about. */
  reason?: string;
  /** True when retrying was given up: the backend has not refused these items. */
  gaveUp?: boolean;
  /** The parts that were given up of a request that was parted; all of it where this is missing. */
  left?: readonly Part[];
}

/** How to send. */
export interface SenderOptions {
  /** What is sent there. */
  readonly signal: Signal;
  /** The URL that is posted to, path included; for gRPC without one. */
  readonly url: string;
  /** Default `http/protobuf`. */
  readonly protocol?: Protocol;
  readonly headers?: readonly Header[];
  /** Asked before each attempt for the value of the Authorization header, which wins over `headers`. */
  readonly authorization?: Authorization;
  /** Default `none`. */
  readonly compression?: "gzip" | "none";
  /** For one attempt, from connecting to the last byte of the answer, milliseconds. Default 10,000. */
  readonly timeoutMs?: number;
  /** What connections go through. */
  readonly proxy?: Proxy;
  /** PEM texts for https, asked before each attempt. */
  readonly tls?: TlsSource;
  /** Default {@linkcode DEFAULT_BACKOFF}. */
  readonly backoff?: Backoff;
  /**
   * A batch is given up after this many milliseconds in which trying came to nothing, with it or with
   * those before. Default: never.
   */
  readonly maxElapsedMs?: number;
  /** Where problems and recoveries are said. */
  readonly log: Log;
}

/** Whether sending works. */
export interface SenderState {
  /** The last attempt was answered as OTLP wants it. True before the first. */
  readonly ok: boolean;
  /** What the last failed attempt failed of. */
  readonly lastError?: string;
  /** Attempts failed since the last that worked. */
  readonly failures: number;
  /** Attempts failed since the start. */
  readonly allFailures: number;
  /** Whether the backend takes the signal, by its last answer about that; null before there was one. */
  readonly takes: boolean | null;
}

/** Sends batches. */
export interface Sender {
  /**
   * Sends one export request of the signal (protobuf bytes) and keeps retrying. Never rejects.
   * Resolves when the backend took it, refused it for good, or trying was given up. The body must
   * stay as it is until then.
   *
   * @param count Items in it.
   */
  send(body: Uint8Array, count: number): Promise<Outcome>;
  /**
   * Stops at once: running requests are cut off, every pending send resolves as dropped with
   * `gaveUp`, and so does every later one.
   */
  abort(reason: string): void;
  /** Aborts what is pending, closes the connections and says what is still unsaid. */
  close(): Promise<void>;
  readonly state: SenderState;
}

/**
 * @throws Error when the URL or a header can't be used.
 */
export function createSender(options: SenderOptions): Sender {
  const { signal, backoff = DEFAULT_BACKOFF, maxElapsedMs = Infinity, log } = options;
  const transport = options.protocol === "grpc"
    ? createGrpcTransport(options)
    : createHttpTransport(options);
  return createRetrying({ signal, backoff, maxElapsedMs, log }, transport);
}
