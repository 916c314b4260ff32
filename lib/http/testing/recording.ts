/**
 * What the tests of this folder share: spans kept in memory and a server of the runtime at hand.
 *
 * @module
 */
import { context, propagation } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  CompositePropagator,
  W3CBaggagePropagator,
  W3CTraceContextPropagator,
} from "@opentelemetry/core";
import {
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import * as bun from "../bun.ts";
import * as deno from "../deno.ts";
import type { ServerOptions } from "../server.ts";

/** Which runtime the test runs on. */
export const onBun: boolean = "Bun" in globalThis;

/** Spans that ended, and the provider that makes them. */
export interface Recording {
  readonly tracerProvider: TracerProvider;
  /** Spans ended so far. */
  ended(): ReadableSpan[];
  /** Waits for `count` spans, checks that there are no more, and forgets them. */
  take(count: number): Promise<ReadableSpan[]>;
  /** Waits for one span, checks that there is no other, and forgets it. */
  one(): Promise<ReadableSpan>;
}

/** Makes a provider of its own, so that files can be tested in one process. */
export function record(): Recording {
  const exporter = new InMemorySpanExporter();
  const tracerProvider = new TracerProvider({
    spanProcessors: [new SimpleSpanProcessor({ exporter })],
  });
  const take = async (count: number): Promise<ReadableSpan[]> => {
    const deadline = Date.now() + 10_000;
    while (exporter.getFinishedSpans().length < count) {
      if (Date.now() > deadline) {
        throw new Error(`${exporter.getFinishedSpans().length} of ${count} spans ended in 10 s`);
      }
      await sleep(2);
    }
    await sleep(10); // for one that should not be there
    const spans = exporter.getFinishedSpans();
    exporter.reset();
    if (spans.length !== count) throw new Error(`${spans.length} spans instead of ${count}`);
    return spans;
  };
  return {
    tracerProvider,
    ended: () => exporter.getFinishedSpans(),
    take,
    one: async () => (await take(1))[0],
  };
}

/** Sets the context manager and the W3C propagators up; `removeGlobals` takes them away. */
export function installGlobals(): void {
  removeGlobals();
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(
    new CompositePropagator({
      propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()],
    }),
  );
}

/** Undoes {@link installGlobals}. */
export function removeGlobals(): void {
  context.disable();
  propagation.disable();
}

/** A server that listens. */
export interface Listening {
  /** `http://127.0.0.1:port`, without a slash at the end. */
  readonly url: string;
  readonly port: number;
  stop(): Promise<void>;
}

/** A handler for either runtime. */
export type Handler = (
  request: Request,
  // deno-lint-ignore no-explicit-any
  host: any,
) => Response | undefined | Promise<Response | undefined>;

/** Serves with the traced `serve` of the runtime at hand. */
export function listen(
  handler: Handler,
  options: ServerOptions,
  onError?: (error: unknown) => Response | Promise<Response>,
): Listening {
  // The drop-in servers have the types of their runtimes, of which one is always missing.
  // deno-lint-ignore no-explicit-any
  type Loose = (...args: any[]) => any;
  if (onBun) {
    const server = (bun.traceServe(options) as Loose)({
      port: 0,
      hostname: "127.0.0.1",
      development: false,
      fetch: handler,
      error: onError,
      websocket: { message: () => {} },
    });
    return {
      url: `http://127.0.0.1:${server.port}`,
      port: server.port,
      stop: () => server.stop(true),
    };
  }
  const server = (deno.traceServe(options) as Loose)(
    { port: 0, hostname: "127.0.0.1", onListen: () => {}, onError },
    handler,
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    port: server.addr.port,
    stop: () => server.shutdown(),
  };
}

/** Waits. */
export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
