/**
 * OTLP over HTTP: a server for requests of all signals ("OTLP/HTTP" in the OTLP specification).
 *
 * @module
 */
import http from "node:http";
import { type AddressInfo, isIPv6 } from "node:net";
import type { Signal } from "../../lib/otlp/request.ts";
import { PATHS, SIGNALS } from "../pipeline/signals.ts";
import { decodeBody, passRest, readBody } from "./body.ts";
import type { Intake } from "./intake.ts";
import { corsHeaders, isLoopback, preflightHeaders, whyForbidden } from "./origins.ts";
import { CODES, type Reply, RETRY_SECONDS } from "./reply.ts";
import { type Encoding, type Failure, failureBody, successBody } from "./respond.ts";

/** Where to listen, and for whom. */
export interface HttpReceiverOptions {
  readonly host: string;
  /** 0: one that is free. */
  readonly port: number;
  /** Origins whose pages may post. */
  readonly origins: readonly string[];
  /** A request has come whole after so many milliseconds, or is given up. */
  readonly requestTimeoutMs: number;
}

/** A server that runs. */
export interface Receiving {
  readonly port: number;
  /** Takes no more connections, lets what is being answered end, and then closes all. */
  close(): Promise<void>;
}

/** Connections at the same time. */
export const MAX_CONNECTIONS = 512;
/** A connection that nothing is sent on is closed; exporters send every minute or sooner. */
const KEEP_ALIVE_MS = 120_000;
/** How long answers on their way may take at the end. */
const CLOSE_MS = 1_000;

const ENCODINGS: readonly Encoding[] = ["application/x-protobuf", "application/json"];

const SIGNAL_OF = new Map<string, Signal>(SIGNALS.map((signal) => [`/${PATHS[signal]}`, signal]));

/**
 * Listens.
 *
 * @throws the error of the system, when the address can't be listened at.
 */
export async function startHttpReceiver(
  { host, port, origins, requestTimeoutMs }: HttpReceiverOptions,
  intake: Intake,
): Promise<Receiving> {
  const server = http.createServer({
    requestTimeout: requestTimeoutMs,
    headersTimeout: requestTimeoutMs,
    connectionsCheckingInterval: Math.min(1_000, requestTimeoutMs),
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: 16 << 10,
  }, (request, response) => {
    handle(request, response).catch(() => response.destroy());
  });
  server.maxConnections = MAX_CONNECTIONS;
  const onlyLocal = isLoopback(host);

  async function handle(
    request: http.IncomingMessage,
    response: http.ServerResponse,
  ): Promise<void> {
    const { headers, method, url = "" } = request;
    request.on("error", () => {});
    response.on("error", () => {});
    const encoding = encodingOf(headers["content-type"]);
    const signal = SIGNAL_OF.get(url.split("?", 1)[0]);
    const why = whyForbidden(headers, origins, onlyLocal);
    if (why === undefined && method === "OPTIONS" && headers.origin !== undefined) {
      response.writeHead(204, preflightHeaders(headers)).end();
      return;
    }
    const reply = why === undefined
      ? await answer(request, signal, encoding)
      : refuse("forbidden", why);
    if (reply === null) return;
    await passRest(request);
    const isTaken = reply.kind === "taken";
    // What can't be read by its sender can be read by people.
    const type = encoding ?? "application/json";
    const body = isTaken ? successBody(signal!, reply, type) : failureBody(reply, type);
    response.writeHead(isTaken ? 200 : CODES[reply.kind][0], {
      "content-type": type,
      "content-length": body.length,
      ...(why === undefined ? corsHeaders(headers) : {}),
      ...(isTaken ? {} : headersOf(reply)),
    });
    response.end(body);
  }

  function refuse(kind: Failure["kind"], reason: string): Reply {
    return intake.refuse("http", kind, reason);
  }

  async function answer(
    request: http.IncomingMessage,
    signal: Signal | undefined,
    encoding: Encoding | undefined,
  ): Promise<Reply | null> {
    if (signal === undefined) {
      return refuse("path", `there are ${[...SIGNAL_OF.keys()].join(", ")}`);
    }
    if (request.method !== "POST") return refuse("method", "only POST is answered");
    if (encoding === undefined) {
      return refuse("media_type", `the Content-Type has to be ${ENCODINGS.join(" or ")}`);
    }
    const packing = (request.headers["content-encoding"] ?? "identity").trim().toLowerCase();
    if (packing !== "identity" && packing !== "gzip") {
      return refuse("media_type", "the Content-Encoding may be gzip, or none");
    }
    const busy = intake.whyNot(signal);
    if (busy !== undefined) return refuse("busy", busy);
    let reserved = 0;
    try {
      const sent = await readBody(request, intake, (bytes) => reserved += bytes);
      if (sent === null) return null;
      if (!(sent instanceof Uint8Array)) return refuse(sent.kind, sent.reason);
      const body = decodeBody(signal, sent, { encoding, isPacked: packing === "gzip" });
      if (!(body instanceof Uint8Array)) return refuse(body.kind, body.reason);
      return await intake.take("http", signal, body);
    } finally {
      intake.release(reserved);
    }
  }

  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  server.on("error", () => {});
  // What is received never keeps the collector from ending.
  server.unref();
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        const timer = setTimeout(() => server.closeAllConnections(), CLOSE_MS);
        server.close(() => {
          clearTimeout(timer);
          resolve();
        });
        server.closeIdleConnections();
      }),
  };
}

/** The address as URLs have it. */
export function hostInUrl(host: string): string {
  return isIPv6(host) ? `[${host}]` : host;
}

function encodingOf(contentType: string | undefined): Encoding | undefined {
  const type = contentType?.split(";", 1)[0].trim().toLowerCase();
  return ENCODINGS.find((encoding) => encoding === type);
}

function headersOf({ kind }: Failure): http.OutgoingHttpHeaders {
  const headers: http.OutgoingHttpHeaders = {};
  if (kind === "busy") headers["retry-after"] = String(RETRY_SECONDS);
  if (kind === "method") headers.allow = "POST";
  return headers;
}
