/**
 * Routes of Hono on server spans. Hono itself is not needed: what is used of it is declared here.
 *
 * @module
 */
import type { RPCMetadata } from "@opentelemetry/core";
import { activeServerSpan, endExchange, fail, guarded, setRoute } from "./exchange.ts";
import { whenSent } from "./host.ts";
import { type HttpSettings, methodLabel } from "./semconv.ts";
import { resolveServerOptions, run, type ServerOptions, settle, start } from "./server.ts";

/** The part of a Hono context used here. */
export interface HonoContext {
  readonly req: {
    readonly raw: Request;
    readonly method: string;
    /** Position in `matchedRoutes` of the handler called last. */
    readonly routeIndex: number;
    readonly matchedRoutes: readonly HonoRoute[];
  };
  readonly res: Response;
  readonly error: Error | undefined;
  readonly env: unknown;
}

/** The part of a matched route of Hono used here. */
export interface HonoRoute {
  readonly path: string;
  /** `ALL` for middleware. */
  readonly method: string;
  readonly handler: unknown;
}

/** A Hono middleware. */
export type HonoMiddleware = (c: HonoContext, next: () => Promise<void>) => Promise<void>;

/**
 * A Hono middleware that names the route: `http.route` and `{method} {route}` as the name of the
 * server span, as soon as the request is routed. An error that Hono turned into a 5xx response is
 * recorded on the span. Where no server span is active, it makes one as {@link traceHandler} does.
 *
 * The route is the path of the handler that answers, with the base paths of the apps it is nested
 * in. Middleware counts when it answers itself. A request that no route matches has none.
 *
 * @example
 * ```ts ignore
 * const app = new Hono();
 * app.use(traceHono());
 * app.get("/users/:id", (c) => c.json({ id: c.req.param("id") }));
 * serve({ port: 8000 }, app.fetch);
 * ```
 */
export function traceHono(options: ServerOptions = {}): HonoMiddleware {
  const settings = resolveServerOptions(options);
  return (c, next) => {
    const server = activeServerSpan();
    if (server !== undefined) return routed(settings, server, c, next);
    const { raw } = c.req;
    const started = guarded(() => start(settings, raw, c.env, undefined));
    if (started === undefined) return next();
    const { exchange, peer } = started;
    return run(exchange, () => routed(settings, exchange, c, next), {
      answered: () => settle(exchange, raw, c.env, peer, c.res),
      threw: () => whenSent(c.env, raw, peer, (aborted) => endExchange(exchange, aborted)),
    });
  };
}

async function routed(
  settings: HttpSettings,
  server: RPCMetadata,
  c: HonoContext,
  next: () => Promise<void>,
): Promise<void> {
  const routes = guarded(() => c.req.matchedRoutes) ?? [];
  const method = methodLabel(settings, c.req.method);
  // Early, so that the name is there if the process ends during the request.
  const expected = routes.find(isHandler)?.path;
  if (expected !== undefined) guarded(() => setRoute(server, method, expected));
  await next();
  guarded(() => {
    const { status } = c.res;
    const last = routes[c.req.routeIndex];
    const answered = last !== undefined && (isHandler(last) || status !== 404);
    const route = answered && (isHandler(last) || expected === undefined) ? last.path : expected;
    if (route !== undefined) setRoute(server, method, route);
    if (c.error !== undefined && status >= 500) fail(server, c.error);
  });
}

/** Whether a route ends the chain: middleware is registered for all methods and takes `next`. */
function isHandler(route: HonoRoute): boolean {
  return route.method !== "ALL" || (route.handler as { length: number }).length < 2;
}
