/**
 * The server of the page and its API: HTTP, GET and HEAD only.
 *
 * @module
 */
import http from "node:http";
import { type AddressInfo, isIPv6 } from "node:net";
import { InvalidQuery } from "../store/queries/types.ts";
import { explain, type Listener } from "../serve/serve.ts";
import type { Asset, Assets } from "./assets.ts";
import { createEvents, type Events } from "./events.ts";
import { describeApi } from "./openapi.ts";
import { readQuery } from "./parameters.ts";
import { findRoute, type Found, type Sources } from "./routes.ts";
import { createGuard, createToken, type Guard, HEADERS } from "./security.ts";

/** A server that runs. */
export interface PageServer {
  /** `http://host:port/`, without the token. */
  readonly url: string;
  readonly token: string;
  /** Ends it at once. */
  close(): void;
}

const MAX_CONNECTIONS = 128;
const MAX_HEADER_BYTES = 16 << 10;
const MAX_URL_CHARACTERS = 8 << 10;
const REQUEST_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 30_000;

/** What is answered. */
interface Answer {
  readonly status: number;
  readonly headers: http.OutgoingHttpHeaders;
  readonly body: Uint8Array | string;
}

const JSON_TYPE = "application/json; charset=utf-8";
const STATUS_OF = { invalid: 400, unavailable: 503, "too large": 400, failed: 500 } as const;

/**
 * Listens.
 *
 * @throws Error when the address can't be listened at.
 */
export async function servePage(
  { address: { host, port }, source }: Listener,
  sources: Sources,
  assets: Assets,
): Promise<PageServer> {
  const token = createToken();
  const events = createEvents(sources.asker, sources.live);
  const server = http.createServer({
    requestTimeout: REQUEST_TIMEOUT_MS,
    headersTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: MAX_HEADER_BYTES,
  }, (request, response) => {
    request.on("error", () => {});
    response.on("error", () => {});
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value!);
    response.setHeader("cache-control", "no-store");
    handle(request, response, { assets, events, guard, sources }).then((answer) => {
      if (answer === null || response.destroyed) return;
      const { body, headers, status } = answer;
      const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
      response.writeHead(status, { ...headers, "content-length": bytes.length });
      response.end(request.method === "HEAD" ? undefined : bytes);
    }).catch(() => response.destroy());
  });
  server.maxConnections = MAX_CONNECTIONS;
  const name = (actual: number): string => `${isIPv6(host) ? `[${host}]` : host}:${actual}`;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: Error & { code?: string }) => {
      reject(new Error(`${source} ${name(port)}: ${explain(error)}`));
    });
    server.listen(port, host, resolve);
  });
  server.on("error", () => {});
  // Whoever looks never keeps the collector from ending.
  server.unref();
  const actual = (server.address() as AddressInfo).port;
  const guard = createGuard(host, actual, token);
  return {
    url: `http://${name(actual)}/`,
    token,
    close() {
      events.close();
      server.close();
      server.closeAllConnections();
    },
  };
}

interface Site {
  readonly guard: Guard;
  readonly assets: Assets;
  readonly events: Events;
  readonly sources: Sources;
}

async function handle(
  { headers, method, url = "/" }: http.IncomingMessage,
  response: http.ServerResponse,
  { assets, events, guard, sources }: Site,
): Promise<Answer | null> {
  const forbidden = guard.whyForbidden(headers);
  if (forbidden !== undefined) return failure(403, forbidden);
  if (method !== "GET" && method !== "HEAD") {
    return failure(405, "only GET and HEAD are answered", { allow: "GET, HEAD" });
  }
  if (url.length > MAX_URL_CHARACTERS) return failure(414, "the address is too long");
  const [path, query = ""] = split(url);
  const parameters = new URLSearchParams(query);
  const token = path === "/" ? parameters.get("token") : null;
  if (token !== null && guard.isToken(token)) {
    const home = { location: "/", "set-cookie": guard.cookie };
    return { status: 303, headers: home, body: "" };
  }
  if (!guard.isKnown(headers)) return unknown(path, token !== null);
  const asset = assets.get(path);
  if (asset !== undefined) return file(asset, path, accepts(headers));
  const found = findRoute(path);
  if (found === undefined) return failure(404, "there is no such page");
  if (found.route.special === "events") {
    if (method === "HEAD") return failure(405, "events can only be got", { allow: "GET" });
    return events.add(response) ? null : failure(503, "too many listen to events");
  }
  try {
    return await answer(found, parameters, accepts(headers), sources);
  } catch (error) {
    return failure(error instanceof InvalidQuery ? 400 : 500, (error as Error).message);
  }
}

async function answer(
  { route, id }: Found,
  parameters: URLSearchParams,
  gzip: boolean,
  sources: Sources,
): Promise<Answer> {
  const asked = readQuery(route.parameters, parameters);
  if (route.special === "description") return ok(JSON.stringify(describeApi()));
  if (route.look !== undefined) return ok(JSON.stringify(await route.look(asked, sources)));
  const reply = await sources.asker.ask(await route.ask!(asked, id, sources), gzip);
  if (reply.kind === "none") return failure(404, route.missing ?? "there is no such thing");
  if (reply.kind !== "answer") return failure(STATUS_OF[reply.kind], reply.message);
  return ok(reply.body, {
    vary: "accept-encoding",
    ...(reply.gzip ? { "content-encoding": "gzip" } : {}),
    ...(route.file === undefined
      ? {}
      // The id was understood: it is hexadecimal.
      : { "content-disposition": `attachment; filename="trace-${id}.${route.file}"` }),
  });
}

function ok(body: Uint8Array | string, headers: http.OutgoingHttpHeaders = {}): Answer {
  return { status: 200, headers: { "content-type": JSON_TYPE, ...headers }, body };
}

function failure(
  status: number,
  error: string,
  headers: http.OutgoingHttpHeaders = {},
): Answer {
  const body = JSON.stringify({ error });
  return { status, headers: { "content-type": JSON_TYPE, ...headers }, body };
}

function unknown(path: string, isWrong: boolean): Answer {
  const why =
    `the token is ${isWrong ? "wrong" : "missing"}: open the address that the collector ` +
    "printed when it started";
  if (path !== "/") return failure(401, why);
  return {
    status: 401,
    headers: { "content-type": "text/plain; charset=utf-8" },
    body: `${why}\n`,
  };
}

function file({ body, gzip, type }: Asset, path: string, packed: boolean): Answer {
  return {
    status: 200,
    headers: {
      "content-type": type,
      "vary": "accept-encoding",
      ...(packed ? { "content-encoding": "gzip" } : {}),
      // Names have hashes in them, but for that of the page itself.
      ...(path === "/" ? {} : { "cache-control": "private, max-age=31536000, immutable" }),
    },
    body: packed ? gzip : body,
  };
}

function accepts(headers: http.IncomingHttpHeaders): boolean {
  const accepted = String(headers["accept-encoding"] ?? "");
  return /(^|,)\s*(gzip|\*)\s*(;\s*q=(1|0\.0*[1-9]))?/i.test(accepted) &&
    !/gzip\s*;\s*q=0(\.0+)?\s*(,|$)/i.test(accepted);
}

function split(url: string): [path: string, query?: string] {
  const at = url.indexOf("?");
  return at < 0 ? [url] : [url.slice(0, at), url.slice(at + 1)];
}
