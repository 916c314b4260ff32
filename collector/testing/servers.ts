/**
 * Servers in the process of a test, which end with the tests of its file.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import * as http from "node:http";
import * as https from "node:https";
import * as net from "node:net";
import { after } from "node:test";

/** What is run when the tests of the file are done, the last first. */
export const cleanups: (() => void | Promise<unknown>)[] = [];
after(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

/** Listens, by default on a free port, until the tests of the file are done. Returns the port. */
export async function listen(server: net.Server, port = 0): Promise<number> {
  const sockets = new Set<net.Socket>();
  server.on("connection", (socket: net.Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((done) => server.listen(port, "127.0.0.1", () => done()));
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as net.AddressInfo).port;
}

/** A port where nothing listens. */
export async function freePort(): Promise<number> {
  const server = net.createServer();
  const port = await listen(server);
  await new Promise((done) => server.close(done));
  return port;
}

/** A request that a backend got. */
export interface Seen {
  readonly method?: string;
  readonly url?: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Answers the request with that number, from 1. */
export type HttpAnswer = (response: http.ServerResponse, seen: Seen, count: number) => void;

/** A running backend. */
export interface HttpBackend {
  readonly port: number;
  /** Where traces go. */
  readonly url: string;
  /** The requests so far. */
  readonly seen: Seen[];
}

/**
 * Starts an HTTP server that takes each request whole and then does as it likes.
 *
 * @param answer Default: takes everything.
 * @param tls Speaks TLS with these.
 */
export async function startHttpBackend(
  answer: HttpAnswer = (response) => void response.end(),
  tls?: https.ServerOptions,
): Promise<HttpBackend> {
  const seen: Seen[] = [];
  const listener = (request: http.IncomingMessage, response: http.ServerResponse): void => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method, url, headers } = request;
      const one = { method, url, headers, body: Buffer.concat(chunks) };
      seen.push(one);
      answer(response, one, seen.length);
    });
  };
  const server = tls === undefined
    ? http.createServer(listener)
    : https.createServer(tls, listener);
  const port = await listen(server);
  const scheme = tls === undefined ? "http" : "https";
  return { port, url: `${scheme}://127.0.0.1:${port}/v1/traces`, seen };
}
