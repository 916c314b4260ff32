/**
 * Server spans for request listeners of `node:http`.
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { context, type TextMapGetter } from "@opentelemetry/api";
import { beginExchange, endExchange, type Exchange, fail, guarded, respond } from "./exchange.ts";
import {
  type HttpOptions,
  type HttpSettings,
  isIgnored,
  resolveOptions,
  usable,
} from "./semconv.ts";
import { isWrapped, markWrapped } from "./wrapped.ts";

/** What {@link traceListener} can be told. */
export interface ListenerOptions extends HttpOptions {
  /** Requests for which it returns true get no span and are not measured. */
  readonly ignore?: (request: IncomingMessage) => boolean;
}

/**
 * Wraps a listener of `node:http` so that each request gets a server span: a child of the span its
 * headers name, active while the listener runs, ended when the response is sent or the connection
 * lost. What the listener throws is recorded and thrown again.
 *
 * @example
 * ```ts ignore
 * createServer(traceListener((request, response) => response.end("hello"))).listen(8000);
 * ```
 */
export function traceListener<
  Received extends IncomingMessage,
  Answered extends ServerResponse,
  Result,
>(
  listener: (request: Received, response: Answered) => Result,
  options: ListenerOptions = {},
): (request: Received, response: Answered) => Result {
  if (isWrapped(listener)) return listener;
  const settings = resolveOptions(options);
  const ignore = usable("ignore", options?.ignore);
  return markWrapped(function (this: unknown, request: Received, response: Answered): Result {
    const exchange = guarded(() =>
      isIgnored(ignore, request) ? undefined : start(settings, request, response)
    );
    if (exchange === undefined) return listener.call(this, request, response);
    const threw = (error: unknown): never => {
      fail(exchange, error);
      throw error;
    };
    try {
      const result = context.with(exchange.context, () => listener.call(this, request, response));
      if (result instanceof Promise) return result.catch(threw) as Result;
      return result;
    } catch (error) {
      fail(exchange, error);
      endExchange(exchange, false); // an uncaught exception: nothing may come after it
      throw error;
    }
  });
}

function start(
  settings: HttpSettings,
  request: IncomingMessage,
  response: ServerResponse,
): Exchange | undefined {
  const { headers, socket, url = "/" } = request;
  const query = url.indexOf("?");
  const exchange = beginExchange(
    settings,
    request,
    {
      method: request.method ?? "GET",
      scheme: (socket as { encrypted?: boolean }).encrypted ? "https" : "http",
      host: headers.host ?? first(headers[":authority"]),
      path: query < 0 ? url : url.slice(0, query),
      query: query < 0 ? undefined : url.slice(query + 1),
      peerAddress: socket.remoteAddress,
      peerPort: socket.remotePort,
      protocolVersion: version(request.httpVersion),
    },
    headers,
    HEADERS,
    undefined,
  );
  if (exchange === undefined) return undefined;
  const end = (): void => {
    if (exchange.ended) return;
    guarded(() => {
      if (response.headersSent) {
        respond(exchange, response.statusCode, (name) => values(response.getHeader(name)));
      }
      endExchange(exchange, !response.writableFinished);
    });
  };
  response.once("finish", end);
  response.once("close", end);
  return exchange;
}

/** The conventions call `2.0` and `3.0` 2 and 3. */
function version(httpVersion: string): string {
  return httpVersion === "2.0" || httpVersion === "3.0" ? httpVersion[0] : httpVersion;
}

function values(header: number | string | readonly string[] | undefined): string[] | undefined {
  if (header === undefined) return undefined;
  return typeof header === "object" ? [...header] : [String(header)];
}

function first(value: string | string[] | undefined): string | undefined {
  return typeof value === "object" ? value[0] : value;
}

const HEADERS: TextMapGetter<IncomingMessage["headers"]> = {
  get: (headers, key) => headers[key],
  keys: (headers) => Object.keys(headers),
};
