/**
 * Server spans for handlers of the form `(Request, ...) => Response`.
 *
 * @module
 */
import { context, type TextMapGetter } from "@opentelemetry/api";
import {
  beginExchange,
  endExchange,
  type Exchange,
  fail,
  guarded,
  isObserved,
  respond,
} from "./exchange.ts";
import { isUpgraded, type Peer, peerOf, whenSent } from "./host.ts";
import {
  headerValues,
  type HttpOptions,
  type HttpSettings,
  isIgnored,
  resolveOptions,
  usable,
} from "./semconv.ts";
import { isWrapped, markWrapped } from "./wrapped.ts";

/** What the wrappers of servers can be told. */
export interface ServerOptions extends HttpOptions {
  /** Requests for which it returns true get no span and are not measured. */
  readonly ignore?: (request: Request) => boolean;
}

/** {@link ServerOptions}, worked out once per wrapper. */
export interface ServerSettings extends HttpSettings {
  readonly ignore: ServerOptions["ignore"];
  /** What the runtime answers when a handler throws; undefined when that is not known. */
  readonly errorStatus: number | undefined;
}

/** Works the options out. */
export function resolveServerOptions(
  options: ServerOptions,
  errorStatus?: number,
): ServerSettings {
  return {
    ...resolveOptions(options),
    ignore: usable("ignore", options?.ignore),
    errorStatus,
  };
}

/**
 * Wraps a handler so that each request gets a server span.
 *
 * The span is a child of the span that the request's headers name, is active while the handler
 * runs, and ends when the response is sent: that is when Deno settles `info.completed`, and on Bun
 * when the server lets go of the request (seen within 3 % of the time a streamed body takes). With
 * other hosts it ends when the handler has answered. The response is handed on as it is.
 *
 * What the handler throws is recorded and thrown again. The status code of the answer which the
 * runtime then gives is only known to the `serve` of deno.ts and bun.ts.
 *
 * @example
 * ```ts ignore
 * export default { fetch: traceHandler(() => new Response("hello")) };
 * ```
 */
export function traceHandler<This, Received extends Request, Rest extends unknown[], Result>(
  handler: (this: This, request: Received, ...rest: Rest) => Result,
  options: ServerOptions = {},
): (this: This, request: Received, ...rest: Rest) => Result {
  return wrapHandler(handler, resolveServerOptions(options));
}

/** What a wrapper was made of. */
interface Wrapped {
  // deno-lint-ignore no-explicit-any
  readonly handler: (...args: any[]) => unknown;
  readonly settings: ServerSettings;
  readonly route: string | undefined;
}

const wrapped = new WeakMap<object, Wrapped>();

/**
 * {@link traceHandler} with the options worked out and, where it is known, the route.
 *
 * A handler that is wrapped already keeps its options, which were given for it and not for a whole
 * server or process, and learns what only the outer wrapper knows.
 */
export function wrapHandler<This, Received extends Request, Rest extends unknown[], Result>(
  handler: (this: This, request: Received, ...rest: Rest) => Result,
  settings: ServerSettings,
  route?: string,
): (this: This, request: Received, ...rest: Rest) => Result {
  const inner = wrapped.get(handler);
  if (inner !== undefined) {
    const errorStatus = inner.settings.errorStatus ?? settings.errorStatus;
    handler = inner.handler as typeof handler;
    settings = { ...inner.settings, errorStatus };
    route = inner.route ?? route;
  }
  const wrapper = function (this: This, request: Received, ...rest: Rest): Result {
    const started = guarded(() => start(settings, request, rest[0], route));
    if (started === undefined) return handler.call(this, request, ...rest);
    const { exchange, peer } = started;
    return run(exchange, () => handler.call(this, request, ...rest), {
      answered: (response) => settle(exchange, request, rest[0], peer, response),
      threw: () => {
        if (settings.errorStatus !== undefined) respond(exchange, settings.errorStatus);
        whenSent(rest[0], request, peer, (aborted) => endExchange(exchange, aborted));
      },
    });
  };
  wrapped.set(wrapper, { handler, settings, route });
  return wrapper;
}

/** Starts the exchange of a request, unless it is ignored, suppressed or has one. */
export function start(
  settings: ServerSettings,
  request: Request,
  host: unknown,
  route: string | undefined,
): { exchange: Exchange; peer: Peer | undefined } | undefined {
  if (isIgnored(settings.ignore, request)) return undefined;
  const peer = peerOf(host, request);
  const { url, headers } = request;
  const authority = url.indexOf("://") + 3;
  const path = url.indexOf("/", authority);
  const query = url.indexOf("?", path);
  const exchange = beginExchange(
    settings,
    request,
    {
      method: request.method,
      scheme: url.slice(0, authority - 3),
      host: url.slice(authority, path), // both runtimes take it from the request
      path: url.slice(path, query < 0 ? undefined : query),
      query: query < 0 ? undefined : url.slice(query + 1),
      peerAddress: peer?.address,
      peerPort: peer?.port,
      protocolVersion: undefined,
    },
    headers,
    HEADERS,
    route,
  );
  return exchange && { exchange, peer };
}

/** How {@link run} goes on. */
export interface Outcome {
  answered(result: unknown): void;
  threw(): void;
}

/** Runs a handler in the context of its exchange and sees how it ends, now or later. */
export function run<Result>(
  exchange: Exchange,
  handler: () => Result,
  outcome: Outcome,
): Result {
  // Not sampled, no metrics: nothing to record, but the callers' decision has to be passed on.
  if (!isObserved(exchange)) return context.with(exchange.context, handler);
  const threw = (error: unknown): never => {
    guarded(() => {
      fail(exchange, error);
      if (typeof error === "object" && error !== null) failures.set(error, exchange);
      outcome.threw();
    });
    throw error;
  };
  let result: Result;
  try {
    result = context.with(exchange.context, handler);
  } catch (error) {
    return threw(error);
  }
  if (!isPromise(result)) {
    guarded(() => outcome.answered(result));
    return result;
  }
  return result.then((value) => {
    guarded(() => outcome.answered(value));
    return value;
  }, threw) as Result;
}

/** Which exchange an error comes from, for the error handler that gets nothing but the error. */
const failures = new WeakMap<object, Exchange>();

/** Wraps the runtime's error handler: its answer gives the span of the failed request a status. */
export function wrapErrorHandler<This, Failure, Result>(
  handler: (this: This, error: Failure) => Result,
): (this: This, error: Failure) => Result {
  if (isWrapped(handler)) return handler;
  return markWrapped(function (this: This, error: Failure): Result {
    const exchange = typeof error === "object" && error !== null ? failures.get(error) : undefined;
    if (exchange === undefined) return handler.call(this, error);
    const answered = (result: unknown): void => {
      if (result instanceof Response) answer(exchange, result);
    };
    const result = context.with(exchange.context, () => handler.call(this, error));
    // Not by way of the caller: the span may end as soon as the runtime has the response.
    if (!isPromise(result)) {
      guarded(() => answered(result));
      return result;
    }
    return result.then((value) => {
      guarded(() => answered(value));
      return value;
    }) as Result;
  });
}

/** The handler answered: records that, and ends the span when the answer is sent. */
export function settle(
  exchange: Exchange,
  request: Request,
  host: unknown,
  peer: Peer | undefined,
  result: unknown,
): void {
  if (isUpgraded(host, request, peer)) {
    respond(exchange, SWITCHING_PROTOCOLS);
    return endExchange(exchange, false);
  }
  if (result instanceof Response) answer(exchange, result);
  if (result instanceof Response && result.status === SWITCHING_PROTOCOLS) {
    // What follows on the connection is not HTTP, and Deno says nothing about its end.
    return endExchange(exchange, false);
  }
  whenSent(host, request, peer, (aborted) => endExchange(exchange, aborted));
}

const SWITCHING_PROTOCOLS = 101;

/** Records a response. */
export function answer(exchange: Exchange, response: Response): void {
  respond(exchange, response.status, (name) => headerValues(response.headers, name));
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as Partial<PromiseLike<unknown>> | null | undefined)?.then === "function";
}

const HEADERS: TextMapGetter<Headers> = {
  get: (headers, key) => headers.get(key) ?? undefined,
  keys: (headers) => [...headers.keys()],
};
