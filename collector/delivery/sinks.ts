/**
 * Where requests can go: a sender, lines for people, lines of OTLP/JSON, or nowhere.
 *
 * @module
 */
import process from "node:process";
import type { Signal } from "../../lib/otlp/request.ts";
import { createConnector } from "../send/connect.ts";
import type { Destination } from "../options/destinations.ts";
import { parseTarget } from "../options/endpoint.ts";
import { createFanOut } from "./fan-out.ts";
import { log } from "../text/log.ts";
import { toOtlpJson } from "../text/otlp-json.ts";
import { formatRequest, wantsColor } from "../print/print.ts";
import type { Sink } from "../pipeline/queue.ts";
import type { Outcome } from "../send/send.ts";
import { forEachSignal, ITEMS } from "../pipeline/signals.ts";
import { signalVariable } from "../options/variables.ts";

/** Where text goes: a stream. */
export interface TextStream {
  write(text: string, done: (error?: Error | null) => void): unknown;
}

/** Writes requests as text. */
function createTextSink(
  signal: Signal,
  stream: TextStream,
  format: (signal: Signal, body: Uint8Array) => string,
): Sink {
  return {
    send(body: Uint8Array, items: number) {
      return new Promise((resolve) => {
        stream.write(format(signal, body), (error) => {
          resolve(
            error
              ? { accepted: 0, rejected: 0, dropped: items, gaveUp: true, reason: error.message }
              : { accepted: items, rejected: 0, dropped: 0 },
          );
        });
      });
    },
    abort(): void {},
    close: () => Promise.resolve(),
  };
}

/** Refuses a signal that no endpoint is named for, while there is one for others. */
function createRefusal(signal: Signal): Sink {
  let said = false;
  return {
    send(_body: Uint8Array, items: number): Promise<Outcome> {
      if (!said) {
        const name = signalVariable(signal, "ENDPOINT");
        log(
          "warn",
          `there is no endpoint for ${signal}: ${
            ITEMS[signal]
          } are not sent; set --endpoint or ${name}`,
        );
      }
      said = true;
      return Promise.resolve({ accepted: 0, rejected: items, dropped: 0 });
    },
    abort(): void {},
    close: () => Promise.resolve(),
  };
}

/** A line for each item on standard output. */
export function createPrinters(): Record<Signal, Sink> {
  const style = { color: wantsColor(process.stdout.isTTY, process.env) };
  return forEachSignal((signal) =>
    createTextSink(signal, process.stdout, (which, body) => formatRequest(which, body, style))
  );
}

/** A line of OTLP/JSON for each request. */
export function createJsonSinks(stream: TextStream): Record<Signal, Sink> {
  return forEachSignal((signal) =>
    createTextSink(signal, stream, (which, body) => `${toOtlpJson(which, body)}\n`)
  );
}

/**
 * Sinks for the destinations of all signals, and for whatever else takes everything. Files that several
 * destinations name are watched once.
 *
 * @param destinations Null: nothing is sent.
 * @param giveUpAfterMs A batch is given up after this many milliseconds of trying.
 * @param others Printers, a store.
 * @throws Error when such a file can't be used.
 */
export function createSinks(
  destinations: Readonly<Record<Signal, readonly Destination[]>> | null,
  giveUpAfterMs: number,
  others: readonly Readonly<Record<Signal, Sink>>[] = [],
): Readonly<Record<Signal, Sink>> {
  const connect = createConnector(giveUpAfterMs, log);
  // Who gives up after a while, to end some time, can wait for so long.
  const mayDrop = giveUpAfterMs === Infinity;
  return forEachSignal((signal) => {
    const sinks = (destinations?.[signal] ?? []).map((destination): Sink => {
      const sender = connect(signal, destination);
      const name = parseTarget(destination.url).url.replace(/\/$/, "");
      return { ...sender, endpoints: [{ name, state: sender.state }] };
    });
    sinks.push(...others.map((each) => each[signal]));
    if (sinks.length === 0) return createRefusal(signal);
    return sinks.length === 1 ? sinks[0] : createFanOut(signal, sinks, { mayDrop, log });
  });
}
