/**
 * A proxy in the process of a test, for plain requests and for CONNECT, that notes what it saw.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import * as http from "node:http";
import * as net from "node:net";
import { parseTarget } from "../options/endpoint.ts";
import { chooseProxy } from "../send/proxy.ts";
import type { SenderOptions } from "../send/send.ts";
import { listen } from "./servers.ts";
import { CERTIFICATE } from "./tls-fixture.ts";

const material = { ca: CERTIFICATE };

/** Options of a sender that goes the way that variables say. */
export function byWayOf(
  url: string,
  env: Record<string, string>,
  more: Partial<SenderOptions> = {},
): Partial<SenderOptions> {
  return { proxy: chooseProxy(parseTarget(url), env), tls: () => material, ...more };
}

/** A request. */
export interface Seen {
  readonly line: string;
  readonly headers: http.IncomingHttpHeaders;
}

/** A proxy that passes requests and connections on, or answers with a status. */
export async function startProxy(
  status?: number,
): Promise<{ port: number; seen: Seen[]; open: () => number }> {
  const seen: Seen[] = [];
  let open = 0;
  const note = ({ method, url, headers }: http.IncomingMessage): void =>
    void seen.push({ line: `${method} ${url}`, headers });
  const server = http.createServer((request, response) => {
    note(request);
    if (status !== undefined) {
      request.resume();
      request.on("end", () => response.writeHead(status).end("said by the proxy"));
      return;
    }
    const { "proxy-authorization": _, ...headers } = request.headers;
    const onward = http.request(request.url!, { method: request.method, headers }, (answer) => {
      response.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(response);
    });
    onward.on("error", () => response.writeHead(502).end());
    request.pipe(onward);
  });
  server.on("connect", (request: http.IncomingMessage, socket: net.Socket, head: Buffer) => {
    note(request);
    if (status !== undefined) {
      socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(request.url!)!;
    const onward = net.connect(Number(port), host, () => {
      open++;
      socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
      onward.write(head);
      onward.pipe(socket);
      socket.pipe(onward);
    });
    onward.on("close", () => {
      open--;
      socket.destroy();
    });
    onward.on("error", () => socket.destroy());
    socket.on("close", () => onward.destroy());
  });
  return { port: await listen(server), seen, open: () => open };
}
