/**
 * `Deno.serve` with server spans.
 *
 * @module
 */
import { flat } from "./flat.ts";
import {
  resolveServerOptions,
  type ServerOptions,
  wrapErrorHandler,
  wrapHandler,
} from "./server.ts";

type Handler = (request: Request, info: unknown) => Response | Promise<Response>;
type ErrorHandler = (error: unknown) => Response | Promise<Response>;

/** The part of `Deno.serve` used here, and what stands for its type where Deno's are not known. */
type AnyServe = (
  options: Handler | Record<string, unknown>,
  handler?: Handler,
) => { readonly finished: Promise<void>; shutdown(): Promise<void> };

type Runtime = { Deno: { serve: AnyServe } };

/** The type of `Deno.serve`, with all its overloads. */
export type DenoServe = typeof globalThis extends { Deno: { serve: infer Serve } } ? Serve
  : AnyServe;

/**
 * Makes a `serve` that takes what `Deno.serve` takes and traces every request, as
 * {@link traceHandler} says.
 *
 * @example
 * ```ts ignore
 * const serve = traceServe({ ignore: (request) => request.url.endsWith("/health") });
 * serve({ port: 8000 }, () => new Response("hello"));
 * ```
 */
export function traceServe(options: ServerOptions = {}): DenoServe {
  // Looked up when it is called, so that this module can be imported anywhere.
  const serve: AnyServe = (first, second) => {
    const { Deno } = globalThis as unknown as Runtime;
    return serveTraced(Deno.serve, options, first, second);
  };
  return serve as DenoServe;
}

/** {@link traceServe} without options: use it in place of `Deno.serve`. */
export const serve: DenoServe = traceServe();

/**
 * Makes `Deno.serve` a traced one, see {@link traceServe}. Servers of `deno serve`, and those started
 * before, are not reached. Does nothing on other runtimes.
 *
 * @returns puts the `serve` back that was there
 */
export function instrumentServe(options: ServerOptions = {}): () => void {
  const { Deno: namespace } = globalThis as unknown as Partial<Runtime>;
  if (namespace === undefined) return () => {};
  const { serve: original } = namespace;
  const patched: AnyServe = (first, second) => serveTraced(original, options, first, second);
  namespace.serve = patched;
  return () => {
    if (namespace.serve === patched) namespace.serve = original;
  };
}

function serveTraced(
  serve: AnyServe,
  options: ServerOptions,
  ...[first, second]: Parameters<AnyServe>
): ReturnType<AnyServe> {
  const init = typeof first === "function" ? {} : flat(first);
  const handler = typeof first === "function" ? first : second ?? init.handler as Handler;
  const { onError } = init;
  // Deno answers 500 by itself; what an error handler answers is recorded when it does.
  const settings = resolveServerOptions(options, onError === undefined ? 500 : undefined);
  if (typeof onError === "function") init.onError = wrapErrorHandler(onError as ErrorHandler);
  if (typeof handler !== "function") return serve(first, second); // it says what is wrong
  delete init.handler;
  return serve(init, wrapHandler(handler, settings));
}
