/**
 * What the runtime tells a handler in its second argument: Deno's `ServeHandlerInfo`, Bun's
 * `Server`.
 *
 * Both are recognised by shape, so that a handler may be wrapped without saying where it will run.
 * The response itself is never touched: reading `body` turns a buffered one into a stream, which
 * costs it its content length, its content type or the runtime's fast path.
 *
 * @module
 */
import { setImmediate, setTimeout } from "node:timers";

/** The other end of the connection. */
export interface Peer {
  readonly address: string;
  readonly port: number | undefined;
}

/** The part of Deno's `ServeHandlerInfo` used here. */
interface HandlerInfo {
  readonly remoteAddr: {
    readonly hostname?: string;
    readonly port?: number;
    readonly path?: string;
  };
  readonly completed: Promise<void>;
}

/** The part of Bun's `Server` used here. */
interface RequestServer {
  /** null once the response is sent or the client gone, and on unix sockets. */
  requestIP(request: Request): { readonly address: string; readonly port: number } | null;
}

/** The peer of a request; undefined where the host does not tell. */
export function peerOf(host: unknown, request: Request): Peer | undefined {
  if (isRequestServer(host)) {
    const peer = host.requestIP(request);
    return peer === null ? undefined : peer as Peer;
  }
  if (isHandlerInfo(host)) {
    const { hostname, port, path } = host.remoteAddr;
    const address = hostname ?? path;
    return address === undefined ? undefined : { address, port };
  }
  return undefined;
}

/**
 * Whether Bun's `server.upgrade()` has answered the request, whatever the handler returns.
 *
 * @param peer what {@link peerOf} said when the request came in
 */
export function isUpgraded(host: unknown, request: Request, peer: Peer | undefined): boolean {
  return peer !== undefined && isRequestServer(host) && request.headers.has("upgrade") &&
    host.requestIP(request) === null;
}

/**
 * Calls `done` once when the response of `request` is sent. Called before the runtime gets the
 * response. Where nothing can be seen (an unknown host, a unix socket on Bun) that is at once.
 *
 * @param peer what {@link peerOf} said when the request came in
 * @param done told whether the response did not reach the client as a whole
 */
export function whenSent(
  host: unknown,
  request: Request,
  peer: Peer | undefined,
  done: (aborted: boolean) => void,
): void {
  if (isRequestServer(host) && peer !== undefined) watch(host, request, done);
  else if (isHandlerInfo(host)) host.completed.then(() => done(false), () => done(true));
  else done(false);
}

/** Longest and shortest time between two looks at a response being streamed, ms. */
const LONGEST_PAUSE = 250;
const SHORTEST_PAUSE = 1;
/** How long after the end of a connection Bun may take to say that it was aborted, ms. */
const ABORT_DELAY = 2;

/**
 * Bun says when a client went away, but not when a response is finished, so that is looked up:
 * once after the runtime has had the response, which finds all buffered ones done, then at
 * intervals of 1/32 of the time it takes already.
 */
function watch(server: RequestServer, request: Request, done: (aborted: boolean) => void): void {
  setImmediate(() => {
    const { signal } = request;
    if (server.requestIP(request) === null) return done(signal.aborted);
    const started = performance.now();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const aborted = (): void => {
      clearTimeout(timer);
      done(true);
    };
    const sent = (): void => {
      signal.removeEventListener("abort", aborted);
      done(signal.aborted);
    };
    const look = (): void => {
      const pause = (performance.now() - started) / 32;
      timer = server.requestIP(request) === null
        ? setTimeout(sent, ABORT_DELAY)
        : setTimeout(look, Math.min(Math.max(pause, SHORTEST_PAUSE), LONGEST_PAUSE));
      timer.unref();
    };
    signal.addEventListener("abort", aborted, { once: true });
    look();
  });
}

function isHandlerInfo(host: unknown): host is HandlerInfo {
  return typeof host === "object" && host !== null && "completed" in host && "remoteAddr" in host;
}

function isRequestServer(host: unknown): host is RequestServer {
  return typeof (host as Partial<RequestServer> | null | undefined)?.requestIP === "function";
}
