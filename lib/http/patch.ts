/**
 * Automatic instrumentation of HTTP: what the application would do with the wrappers of this folder,
 * done to the globals before it runs.
 *
 * @module
 */
import { diag } from "@opentelemetry/api";
import * as bun from "./bun.ts";
import * as deno from "./deno.ts";
import { instrumentFetch } from "./fetch.ts";
import { instrumentListeners } from "./node-servers.ts";
import { type HttpOptions, usable, usableOptions } from "./semconv.ts";

/** What {@link instrumentHttp} can be told. */
export interface InstrumentOptions extends HttpOptions {
  /**
   * Requests to this process for which it returns true get no span and are not measured. Is given
   * their path with the query, as in `/health?full=1`.
   */
  readonly ignoreIncoming?: (path: string) => boolean;
  /** Requests that `fetch` makes to URLs for which it returns true are left alone. */
  readonly ignoreOutgoing?: (url: string) => boolean;
}

let installed = false;

/**
 * Gives spans and metrics to every request that `Deno.serve`, `Bun.serve` and the servers of
 * `node:http` and `node:https` answer and that the global `fetch` makes. To be called before the
 * application starts servers or keeps a `fetch`; what it wraps itself (`traceServe`, `traceHandler`,
 * `traceFetch`, ...) keeps the options given there and is not traced twice.
 *
 * Not reached are `deno serve` and `node:http2` as servers, and `node:http`, `WebSocket` and
 * whatever else is not `fetch` as clients.
 *
 * @example
 * ```ts ignore
 * const undo = instrumentHttp({ ignoreIncoming: (path) => path === "/health" });
 * ```
 * @returns puts back what was there; servers that run go on without spans and metrics
 */
export function instrumentHttp(options: InstrumentOptions = {}): () => void {
  if (installed) {
    diag.warn("instrumentHttp: HTTP is instrumented already; these options have no effect");
    return () => {};
  }
  installed = true;
  const ignoreIncoming = usable("ignoreIncoming", options?.ignoreIncoming) ?? nothing;
  const ignoreOutgoing = usable("ignoreOutgoing", options?.ignoreOutgoing) ?? nothing;
  // What can't be used is said here, not by each of those below.
  const common = usableOptions(options);
  let active = true;
  const server = {
    ...common,
    ignore: (request: Request) => !active || ignoreIncoming(pathOf(request.url)),
  };
  const undo = [
    deno.instrumentServe(server),
    bun.instrumentServe(server),
    instrumentListeners({
      ...common,
      ignore: (request) => !active || ignoreIncoming(request.url ?? "/"),
    }),
    instrumentFetch({ ...common, ignore: ignoreOutgoing }),
  ];
  return () => {
    if (!active) return;
    active = false;
    installed = false;
    undo.forEach((step) => step());
  };
}

function nothing(): boolean {
  return false;
}

/** Path and query of an absolute URL. */
function pathOf(url: string): string {
  return url.slice(url.indexOf("/", url.indexOf("://") + 3));
}
