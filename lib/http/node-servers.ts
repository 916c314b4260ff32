/**
 * Server spans for every server of `node:http` and `node:https`, and so for the frameworks on them.
 *
 * @module
 */
import http from "node:http";
import https from "node:https";
import { type ListenerOptions, traceListener } from "./node.ts";
import { isWrapped } from "./wrapped.ts";

type Server = http.Server | https.Server;
// deno-lint-ignore no-explicit-any
type Emit = (this: Server, event: string, ...args: any[]) => boolean;

/**
 * Traces the requests of all servers of `node:http` and `node:https`, whatever listens to them, as
 * {@link traceListener} says, and leaves those alone that have a traced listener.
 *
 * What is patched is `emit` of the servers: the functions that make servers can't be, since modules
 * import them by name.
 *
 * @returns takes the patch away
 */
export function instrumentListeners(options: ListenerOptions = {}): () => void {
  const undo = [http.Server.prototype, https.Server.prototype].map((prototype) =>
    instrumentEmit(prototype, options)
  );
  return () => undo.forEach((step) => step());
}

function instrumentEmit(prototype: Server, options: ListenerOptions): () => void {
  const inherited = !Object.hasOwn(prototype, "emit");
  const original: Emit = prototype.emit;
  const emitRequest = traceListener(
    function (this: Server, request: http.IncomingMessage, response: http.ServerResponse) {
      return original.call(this, "request", request, response);
    },
    options,
  );
  const patched: Emit = function (event, ...args) {
    return event !== "request" || this.listeners("request").some(isWrapped)
      ? original.call(this, event, ...args)
      : emitRequest.call(this, args[0], args[1]);
  };
  prototype.emit = patched;
  return () => {
    if (prototype.emit !== patched) return; // someone patched it after us
    if (inherited) delete (prototype as Partial<Server>).emit;
    else prototype.emit = original;
  };
}
