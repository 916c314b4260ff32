/**
 * `Bun.serve` with server spans.
 *
 * @module
 */
import { flat } from "./flat.ts";
import {
  resolveServerOptions,
  type ServerOptions,
  type ServerSettings,
  wrapErrorHandler,
  wrapHandler,
} from "./server.ts";

/** The part of Bun's `Server` used here. */
interface AnyServer {
  readonly port: number;
  readonly url: URL;
  reload(options: AnyServeOptions): AnyServer;
  stop(closeActiveConnections?: boolean): Promise<void>;
  // deno-lint-ignore no-explicit-any
  [property: string]: any;
}

type Handler = (
  this: AnyServer,
  request: Request,
  server: AnyServer,
) => Response | undefined | Promise<Response | undefined>;

/** The part of Bun's options used here. */
interface AnyServeOptions {
  fetch?: Handler;
  // deno-lint-ignore no-explicit-any
  routes?: Record<string, any>;
  // deno-lint-ignore no-explicit-any
  error?: (this: AnyServer, error: any) => Response | void | Promise<Response | void>;
  // deno-lint-ignore no-explicit-any
  [option: string]: any;
}

type AnyServe = (options: AnyServeOptions) => AnyServer;

type Runtime = { Bun: { serve: AnyServe } };

/** The type of `Bun.serve`; a rough one where Bun's types are not known. */
export type BunServe = typeof globalThis extends { Bun: { serve: infer Serve } } ? Serve : AnyServe;

/** What `Bun.serve` takes. */
export type BunServeOptions = BunServe extends (options: infer Options) => unknown ? Options
  : AnyServeOptions;

/**
 * Makes a `serve` that takes what `Bun.serve` takes and traces every request that a function
 * answers, as {@link traceHandler} says; entries of `routes` give `http.route`. What Bun answers
 * without calling a function (static responses, files, directories, HTML) is left alone and gets no
 * span. `server.reload` traces what it is given, too.
 *
 * @example
 * ```ts ignore
 * const serve = traceServe({ captureRequestHeaders: ["x-tenant"] });
 * serve({ routes: { "/users/:id": (request) => Response.json(request.params) } });
 * ```
 */
export function traceServe(options: ServerOptions = {}): BunServe {
  // Looked up when it is called, so that this module can be imported anywhere.
  const serve: AnyServe = (serveOptions) => {
    const { Bun } = globalThis as unknown as Runtime;
    return serveTraced(Bun.serve, options, serveOptions);
  };
  return serve as BunServe;
}

/** {@link traceServe} without options: use it in place of `Bun.serve`. */
export const serve: BunServe = traceServe();

/**
 * The options of a server, with its handlers traced, for a module whose default export Bun serves.
 *
 * @example
 * ```ts ignore
 * export default traceServeOptions({ fetch: () => new Response("hello") });
 * ```
 */
export function traceServeOptions<Options extends BunServeOptions>(
  serveOptions: Options,
  options: ServerOptions = {},
): Options {
  return traced(serveOptions as AnyServeOptions, options) as Options;
}

/**
 * Makes `Bun.serve` a traced one, see {@link traceServe}. That reaches default exports that Bun
 * serves, too, but not servers started before. Does nothing on other runtimes.
 *
 * @returns puts the `serve` back that was there
 */
export function instrumentServe(options: ServerOptions = {}): () => void {
  const { Bun: namespace } = globalThis as unknown as Partial<Runtime>;
  if (namespace === undefined) return () => {};
  const { serve: original } = namespace;
  const patched: AnyServe = (serveOptions) =>
    // Bun's own `node:http` comes this way with a handler of its own kind.
    HANDLERS.some((name) => serveOptions?.[name] !== undefined)
      ? serveTraced(original, options, serveOptions)
      : original(serveOptions);
  namespace.serve = patched;
  return () => {
    if (namespace.serve === patched) namespace.serve = original;
  };
}

/** The options in which functions answer requests. */
const HANDLERS = ["fetch", "routes", "error"];

function serveTraced(
  serve: AnyServe,
  options: ServerOptions,
  serveOptions: AnyServeOptions,
): AnyServer {
  const server = serve(traced(serveOptions, options));
  const { reload } = server;
  server.reload = (next) => {
    reload.call(server, traced(next, options));
    return server;
  };
  return server;
}

function traced(serveOptions: AnyServeOptions, options: ServerOptions): AnyServeOptions {
  const { fetch, routes, error } = serveOptions;
  // Bun answers 500 by itself; what an error handler answers is recorded when it does.
  const settings = resolveServerOptions(options, error === undefined ? 500 : undefined);
  const result = flat(serveOptions);
  if (typeof fetch === "function") result.fetch = wrapHandler(fetch, settings);
  if (typeof error === "function") result.error = wrapErrorHandler(error);
  if (typeof routes === "object") result.routes = tracedRoutes(routes, settings);
  return result;
}

function tracedRoutes(
  routes: Record<string, unknown>,
  settings: ServerSettings,
): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [route, entry] of Object.entries(routes)) {
    if (typeof entry === "function") {
      result[route] = wrapHandler(entry as Handler, settings, route);
    } else if (isMethodTable(entry)) {
      result[route] = { ...entry };
      for (const [method, handler] of Object.entries(entry)) {
        if (typeof handler !== "function") continue;
        (result[route] as Record<string, unknown>)[method] = wrapHandler(
          handler as Handler,
          settings,
          route,
        );
      }
    } else {
      result[route] = entry;
    }
  }
  return result;
}

/** Whether an entry of `routes` is an object by method, and not a response, file or HTML bundle. */
function isMethodTable(entry: unknown): entry is Record<string, unknown> {
  return typeof entry === "object" && entry !== null &&
    Object.getPrototypeOf(entry) === Object.prototype &&
    Object.values(entry).some((value) => typeof value === "function");
}
