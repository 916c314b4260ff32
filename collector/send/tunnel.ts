/**
 * Connections that go through an HTTP proxy by CONNECT (RFC 9110 §9.3.6).
 *
 * @module
 */
import * as http from "node:http";
import * as https from "node:https";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import * as tls from "node:tls";
import type { Target } from "../options/endpoint.ts";
import { ExchangeError } from "./exchange-error.ts";
import type { Proxy } from "./proxy.ts";

/** A proxy that has not answered CONNECT after this many milliseconds is taken to be stuck. */
const CONNECT_MS = 30_000;

type Connected = (error: Error | null, stream: Duplex) => void;

/** A connection in the making. */
export interface Tunnel {
  /** Resolves when what is written to the socket reaches the server. */
  readonly socket: Promise<Socket>;
  /** Gives it up: `socket` rejects. */
  cancel(): void;
}

/**
 * Has a proxy make a connection.
 *
 * @param over A connection to the proxy; one is made without it.
 */
export function openTunnel(
  proxy: Proxy,
  { host, port }: Pick<Target, "host" | "port">,
  over?: Socket,
): Tunnel {
  const authority = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const request = http.request({
    ...(over === undefined
      ? { host: proxy.host, port: proxy.port, agent: false }
      : { createConnection: () => over }),
    method: "CONNECT",
    path: authority,
    headers: { host: authority, ...proxyHeaders(proxy) },
  });
  const socket = new Promise<Socket>((resolve, reject) => {
    const fail = (error: Error): void => {
      clearTimeout(timer);
      request.destroy();
      reject(error);
    };
    const late = `no answer within ${CONNECT_MS} ms`;
    const timer = setTimeout(() => fail(new ExchangeError("CONNECT_TIMEOUT", late)), CONNECT_MS);
    const answered = (response: http.IncomingMessage, socket?: Socket, head?: Uint8Array): void => {
      const { statusCode = 0 } = response;
      if (statusCode < 200 || statusCode > 299 || socket === undefined) {
        socket?.destroy();
        fail(refusedBy(proxy, statusCode, authority));
        return;
      }
      clearTimeout(timer);
      if (head !== undefined && head.length > 0) socket.unshift(head);
      resolve(socket);
    };
    request.on("connect", answered);
    request.on("response", answered);
    request.on("error", fail);
    request.on(
      "close",
      () => fail(new ExchangeError("CLOSED", "the connection was closed while it was made")),
    );
  });
  request.end();
  return { socket, cancel: () => request.destroy() };
}

/** Makes the connections of `node:https` through a proxy. */
export class TunnelAgent extends https.Agent {
  private readonly proxy: Proxy;
  private readonly pending = new Set<Tunnel>();

  constructor(proxy: Proxy, options: https.AgentOptions) {
    super(options);
    this.proxy = proxy;
  }

  /** Called by `node:https` when it needs another connection. */
  override createConnection(options: http.ClientRequestArgs, done?: Connected): Duplex {
    void this.connect(options as tls.ConnectionOptions, done!);
    // Nothing, for later, which the types don't know of; nor of failures, which have no stream.
    return undefined as unknown as Duplex;
  }

  private async connect(options: tls.ConnectionOptions, done: Connected): Promise<void> {
    // `host` stays: it is what the server's certificate must be made out for. The path would be that
    // of a Unix socket.
    const { path: _, ...rest } = options;
    const tunnel = openTunnel(this.proxy, { host: options.host!, port: Number(options.port) });
    this.pending.add(tunnel);
    let secured: tls.TLSSocket;
    try {
      secured = tls.connect({ ...rest, socket: await tunnel.socket });
    } catch (error) {
      done(error as Error, undefined as unknown as Duplex);
      return;
    } finally {
      this.pending.delete(tunnel);
    }
    done(null, secured);
  }

  /** Closes every connection, also those in the making. */
  override destroy(): void {
    for (const tunnel of this.pending) tunnel.cancel();
    super.destroy();
  }
}

/** What a proxy wants to know of who asks. */
export function proxyHeaders({ authorization }: Proxy): Record<string, string> {
  return authorization === undefined ? {} : { "proxy-authorization": authorization };
}

/** The answer of a proxy that does not let a request through. */
export function refusedBy(proxy: Proxy, status: number, where: string): ExchangeError {
  const what =
    `the proxy ${proxy.url} (from ${proxy.source}) does not connect to ${where}: HTTP ${status}`;
  const hint = status !== 407
    ? ""
    : proxy.authorization === undefined
    ? `; it wants a user name and a password: put them into the URL of ${proxy.source}`
    : `; check the user name and the password in ${proxy.source}`;
  return new ExchangeError("PROXY_REFUSED", what + hint);
}
