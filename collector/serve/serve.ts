/**
 * A small HTTP server of the collector's own: pages that are made when they are asked for.
 *
 * @module
 */
import { InvalidArgumentError } from "commander";
import http from "node:http";
import { type AddressInfo, isIPv6 } from "node:net";

/** Where to listen, as it was asked for. */
export interface ListenAddress {
  readonly host: string;
  /** 0: one that is free. */
  readonly port: number;
}

/** A server that was asked for. */
export interface Listener {
  readonly address: ListenAddress;
  /** The flag or variable it comes from, named in errors. */
  readonly source: string;
}

/** What is answered. */
export interface Page {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** Makes the page of a path. `accept` is the header of the request, or nothing. */
export type Route = (accept: string) => Page;

/** A server that runs. */
export interface Listening {
  /** `http://host:port` as it is. */
  readonly url: string;
  /** Ends it at once, requests under way included. */
  close(): void;
}

/** Text for people. */
export const PLAIN = "text/plain; charset=utf-8";

/** HOST:PORT, or a port alone (`:13133` or `13133`), which is of this machine only. */
export function listenAddress(text: string): ListenAddress {
  const match = /^(?:(\[[^\]]+\]|[^:\s]*):)?(\d{1,5})$/.exec(text.trim());
  const port = Number(match?.[2]);
  if (match === null || port > 65_535) {
    throw new InvalidArgumentError(
      "It is not HOST:PORT, :PORT or PORT with a port from 0 to 65535.",
    );
  }
  const host = (match[1] ?? "").replace(/^\[|\]$/g, "");
  return { host: host === "" ? "127.0.0.1" : host, port };
}

/**
 * Listens.
 *
 * @throws Error when the address can't be listened at.
 */
export async function serve(
  { address: { host, port }, source }: Listener,
  routes: Readonly<Record<string, Route>>,
): Promise<Listening> {
  const server = http.createServer({ requestTimeout: 10_000 }, (request, response) => {
    const { status, type, body } = answer(request, routes);
    const head: http.OutgoingHttpHeaders = {
      "content-type": type,
      "content-length": new TextEncoder().encode(body).length,
      "cache-control": "no-store",
    };
    if (status === 405) head.allow = "GET, HEAD";
    response.writeHead(status, head);
    response.end(request.method === "HEAD" ? undefined : body);
  });
  const name = (actual: number): string => `${isIPv6(host) ? `[${host}]` : host}:${actual}`;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: Error & { code?: string }) => {
      reject(new Error(`${source} ${name(port)}: ${explain(error)}`));
    });
    server.listen(port, host, resolve);
  });
  server.on("error", () => {});
  // What is asked never keeps the collector from ending.
  server.unref();
  return {
    url: `http://${name((server.address() as AddressInfo).port)}`,
    close(): void {
      server.close();
      server.closeAllConnections();
    },
  };
}

function answer(
  { headers, method, url = "" }: http.IncomingMessage,
  routes: Readonly<Record<string, Route>>,
): Page {
  if (method !== "GET" && method !== "HEAD") {
    return { status: 405, type: PLAIN, body: "only GET and HEAD are answered\n" };
  }
  const path = url.split("?", 1)[0];
  if (!Object.hasOwn(routes, path)) {
    const paths = Object.keys(routes).join(", ");
    return { status: 404, type: PLAIN, body: `there is no such page; there are ${paths}\n` };
  }
  try {
    return routes[path](headers.accept ?? "");
  } catch (error) {
    return { status: 500, type: PLAIN, body: `${(error as Error).message}\n` };
  }
}

/** Why an address can't be listened at, and what to do. */
export function explain(error: Error & { code?: string }): string {
  switch (error.code) {
    case "EADDRINUSE":
      return "another program listens there; choose another port, or 0 for one that is free";
    case "EACCES":
      return "listening there is not allowed; choose a port from 1024 on";
    case "EADDRNOTAVAIL":
    case "EINVAL":
    case "ENOTFOUND":
      return "this machine has no such address; choose 127.0.0.1, or 0.0.0.0 for all";
    default:
      return error.message;
  }
}
