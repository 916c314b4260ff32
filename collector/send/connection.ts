/**
 * HTTP/1.1 requests to one target over a few kept connections of `node:http`.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import * as http from "node:http";
import * as https from "node:https";
import * as net from "node:net";
import type { Target } from "../options/endpoint.ts";
import { ExchangeError } from "./exchange-error.ts";
import type { Proxy } from "./proxy.ts";
import { NO_MATERIAL, type TlsMaterial, type TlsSource } from "./tls.ts";
import { proxyHeaders, refusedBy, TunnelAgent } from "./tunnel.ts";

/** Bytes of a response's head, and of its body, that are read at most. */
const MAX_PART_BYTES = 64 * 1024;

/** Connections to a target at most. Requests beyond that wait for one to become free. */
export const MAX_CONNECTIONS = 8;

/** A response. A body longer than 64 KiB is cut there. */
export interface HttpResponse {
  readonly status: number;
  /** Header values by lower-case name. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Uint8Array;
}

/** What arrived is not HTTP/1. */
export class NotHttpError extends Error {
  /** The first bytes that arrived; none when the answer began as HTTP. */
  readonly received: Uint8Array;
  constructor(message: string, received: Uint8Array) {
    super(message);
    this.name = "NotHttpError";
    this.received = received;
  }
}

/** One request on its way. */
export interface Exchange {
  /**
   * The response. Rejects with an error of the system or of TLS, {@linkcode ExchangeError} or
   * {@linkcode NotHttpError}.
   */
  readonly response: Promise<HttpResponse>;
  /** Gives up: the connection is destroyed and `response` rejects with code CANCELLED. */
  cancel(): void;
}

/** Connections to one target. */
export interface Connections {
  /**
   * Posts a body.
   *
   * @param body Must stay as it is until `response` settles.
   * @param timeoutMs For everything once there is a connection to use or to make: connecting,
   * sending, the whole answer.
   * @param more Headers of this request, which win over those of every request.
   */
  post(body: Uint8Array, timeoutMs: number, more?: Readonly<Record<string, string>>): Exchange;
  /** Closes every connection. Requests still running fail. */
  close(): void;
}

type SystemError = Error & { code?: unknown; syscall?: unknown; rawPacket?: Uint8Array };

function isParseError(error: SystemError): boolean {
  return typeof error.code === "string" && error.code.startsWith("HPE_");
}

function notHttp(error: SystemError, answered: boolean): NotHttpError {
  const message = error.code === "HPE_INVALID_CONSTANT"
    ? "the answer is not HTTP"
    : `the answer is not valid HTTP/1.1: ${error.message}`;
  // Once the answer has begun these bytes are from the middle of it.
  const received = answered ? undefined : error.rawPacket?.slice(0, 64);
  return new NotHttpError(message, received ?? new Uint8Array());
}

/** An error of `node:http` as one that tells an orderly close from a reset. */
function translate(error: SystemError, request: http.ClientRequest, answered: boolean): Error {
  if (isParseError(error)) return notHttp(error, answered);
  // node:http makes up an ECONNRESET for an orderly close; a real one comes from a system call.
  const made = error.code === "ECONNRESET" && error.syscall === undefined;
  if (!made && error.code !== "ERR_SOCKET_CLOSED") return error;
  const what = answered ? "in the middle of its answer" : "without an answer";
  const sending = request.writableFinished ? "" : ", before it had taken the whole request";
  return new ExchangeError("CLOSED", `the connection was closed ${what}${sending}`);
}

function agentFor({ secure, host }: Target, material: TlsMaterial, proxy?: Proxy): http.Agent {
  const limits = { keepAlive: true, maxSockets: MAX_CONNECTIONS };
  if (!secure) return new http.Agent(limits);
  const options = {
    ...limits,
    ...material,
    ALPNProtocols: ["http/1.1"],
    // A Host header of the user's would be taken for the name otherwise. Addresses are not sent.
    servername: net.isIP(host) === 0 ? host : "",
  };
  return proxy === undefined ? new https.Agent(options) : new TunnelAgent(proxy, options);
}

/** What is connected to, and what is asked for there. */
function routeOf(
  { host, port, path, secure, hostHeader }: Target,
  proxy: Proxy | undefined,
): { host: string; port: number; path: string } {
  if (proxy === undefined || secure) return { host, port, path };
  return { host: proxy.host, port: proxy.port, path: `http://${hostHeader}${path}` };
}

/** Connections that were made with the same material. */
interface Pool {
  readonly agent: http.Agent;
  readonly material: TlsMaterial;
  /** Exchanges that are not over. */
  running: number;
}

/**
 * @param target Where to post to.
 * @param headers Of every request; Content-Length is added.
 * @param tls Asked before each request, for https. When the material changes, what runs goes on
 * over the connections that it has, and these are closed after it.
 * @param proxy What all connections go through.
 */
export function createConnections(
  target: Target,
  headers: Readonly<Record<string, string>>,
  tls: TlsSource = () => NO_MATERIAL,
  proxy?: Proxy,
): Connections {
  const pools = new Set<Pool>();
  let newest = addPool(tls());
  const { secure } = target;
  const options = { ...routeOf(target, proxy), method: "POST", maxHeaderSize: MAX_PART_BYTES };
  const always = proxy === undefined || secure ? headers : { ...headers, ...proxyHeaders(proxy) };
  const makeRequest = secure ? https.request : http.request;

  function addPool(material: TlsMaterial): Pool {
    const pool = { agent: agentFor(target, material, proxy), material, running: 0 };
    pools.add(pool);
    return pool;
  }

  function closeIfRetired(pool: Pool): void {
    if (pool === newest || pool.running > 0) return;
    pools.delete(pool);
    pool.agent.destroy();
  }

  function currentPool(): Pool {
    const material = tls();
    if (material !== newest.material) {
      const before = newest;
      newest = addPool(material);
      closeIfRetired(before);
    }
    return newest;
  }

  function post(
    body: Uint8Array,
    timeoutMs: number,
    more: Readonly<Record<string, string>> = {},
  ): Exchange {
    const pool = currentPool();
    pool.running++;
    let settle: (error: Error | undefined, response?: HttpResponse) => void = () => {};
    const response = new Promise<HttpResponse>((resolve, reject) => {
      let request: http.ClientRequest | undefined;
      let timer: ReturnType<typeof setTimeout> | undefined;
      let connected = false;
      let settled = false;

      settle = (error, answer): void => {
        if (settled) return;
        settled = true;
        clearTimeout(timer);
        if (answer !== undefined) resolve(answer);
        else reject(error);
        if (error !== undefined) request?.destroy();
        pool.running--;
        closeIfRetired(pool);
      };

      function late(): void {
        settle(
          connected
            ? new ExchangeError("ANSWER_TIMEOUT", `no complete answer within ${timeoutMs} ms`)
            : new ExchangeError("CONNECT_TIMEOUT", `no connection within ${timeoutMs} ms`),
        );
      }

      function read(message: http.IncomingMessage, request: http.ClientRequest): void {
        const status = message.statusCode ?? 0;
        const parts: Buffer[] = [];
        let room = MAX_PART_BYTES;
        const finish = (): void => {
          const fields = Object.entries(message.headers);
          const headers = new Map(fields.map(([name, value]) => [name, String(value)]));
          settle(undefined, { status, headers, body: Buffer.concat(parts) });
          // The rest of an answer that goes on, or of a request that is answered already, would
          // keep the connection busy for as long as the server likes.
          if (!message.complete || !request.writableFinished) request.destroy();
        };
        message.on("data", (chunk: Buffer) => {
          parts.push(chunk.subarray(0, room));
          if (chunk.length > room) finish();
          room = Math.max(0, room - chunk.length);
        });
        message.on("end", finish);
        message.on("error", (error: Error) => settle(translate(error, request, true)));
      }

      function switched(): void {
        settle(new NotHttpError("the server switched protocols unasked", new Uint8Array()));
      }

      function start(): void {
        let answered = false;
        const ours = makeRequest({
          ...options,
          agent: pool.agent,
          headers: { ...always, ...more, "Content-Length": String(body.length) },
        });
        request = ours;
        // There is a socket only when the proxy has made the connection, and none is waited for.
        if (secure && proxy !== undefined) timer ??= setTimeout(late, timeoutMs);
        ours.on("socket", (socket: net.Socket) => {
          // Deno sends a request again by itself when the kept connection that it used is destroyed,
          // also when that was done here, because its answer is bad or late.
          if (settled) {
            socket.destroy();
            return;
          }
          timer ??= setTimeout(late, timeoutMs);
          connected = ours.reusedSocket;
          // A kept connection never says so again, and would gather listeners.
          if (connected) return;
          socket.once(secure ? "secureConnect" : "connect", () => {
            connected = true;
          });
        });
        ours.on("response", (message: http.IncomingMessage) => {
          answered = true;
          const { statusCode } = message;
          if (statusCode === 101) switched();
          // That is not the server's answer: what is wrong is the way to it.
          else if (proxy && statusCode === 407) settle(refusedBy(proxy, 407, target.hostHeader));
          else read(message, ours);
        });
        ours.on("upgrade", (_message: http.IncomingMessage, socket: net.Socket) => {
          socket.destroy();
          switched();
        });
        ours.on("error", (error: Error) => {
          if (settled) return;
          // Servers close connections that were idle for long, sometimes just when the next request
          // comes.
          if (ours.reusedSocket && !answered && !isParseError(error)) start();
          else settle(translate(error, ours, answered));
        });
        ours.end(body);
      }

      start();
    });
    return { response, cancel: () => settle(new ExchangeError("CANCELLED", "cancelled")) };
  }

  function close(): void {
    for (const { agent } of pools) agent.destroy();
  }

  return { post, close };
}
