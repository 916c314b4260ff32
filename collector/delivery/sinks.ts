/**
 * Where requests can go: a sender, lines for people, lines of OTLP/JSON, or nowhere.
 *
 * @module
 */
import process from "node:process";
import { writeStdout } from "../../ffi/mod.ts";
import type { Signal } from "../../lib/otlp/request.ts";
import { createConnector } from "../send/connect.ts";
import type { Destination } from "../options/destinations.ts";
import { parseTarget } from "../options/endpoint.ts";
import { createFanOut } from "./fan-out.ts";
import type { BySignal, Lanes } from "./lanes.ts";
import { type LanePlace, placeOfEndpoint } from "./spool-place.ts";
import { log } from "../text/log.ts";
import { toOtlpJson } from "../text/otlp-json.ts";
import { formatRequest, wantsColor } from "../print/print.ts";
import type { Sink } from "../pipeline/queue.ts";
import type { Outcome } from "../send/send.ts";
import { forEachSignal, ITEMS, SIGNALS } from "../pipeline/signals.ts";
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
  const aborts = new Set<(reason: string) => void>();
  let aborted: string | undefined;
  return {
    send(body: Uint8Array, items: number) {
      return new Promise((resolve) => {
        const fail = (reason: string): void => {
          aborts.delete(fail);
          resolve({ accepted: 0, rejected: 0, dropped: items, gaveUp: true, reason });
        };
        if (aborted !== undefined) return fail(aborted);
        // Whoever reads may have stopped to.
        aborts.add(fail);
        stream.write(format(signal, body), (error) => {
          if (error) return fail(error.message);
          aborts.delete(fail);
          resolve({ accepted: items, rejected: 0, dropped: 0 });
        });
      });
    },
    abort(reason): void {
      aborted ??= reason;
      for (const fail of [...aborts]) fail(reason);
    },
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
          } are not sent; set --endpoint, --${signal}-endpoint or ${name}`,
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
    createTextSink(
      signal,
      { write: writeStdout },
      (which, body) => formatRequest(which, body, style),
    )
  );
}

/** A line of OTLP/JSON for each request. */
export function createJsonSinks(stream: TextStream): Record<Signal, Sink> {
  return forEachSignal((signal) =>
    createTextSink(signal, stream, (which, body) => `${toOtlpJson(which, body)}\n`)
  );
}

/** What takes everything besides the destinations: printers, a store. */
export interface Other {
  readonly sinks: Readonly<Record<Signal, Sink>>;
  /** Where requests wait for it; without one they do so in memory. */
  readonly place?: LanePlace;
}

/**
 * Sinks for the destinations of all signals, and for whatever else takes everything. Files that several
 * destinations name are watched once.
 *
 * @param destinations Null: nothing is sent.
 * @param giveUpAfterMs A batch is given up after this many milliseconds of trying.
 * @param lanes Where requests are stored for each of several; null: in memory.
 * @throws Error when such a file can't be used.
 */
export function createSinks(
  destinations: Readonly<Record<Signal, readonly Destination[]>> | null,
  giveUpAfterMs: number,
  others: readonly Other[] = [],
  lanes: Lanes | null = null,
): Readonly<Record<Signal, Sink>> {
  const connect = createConnector(giveUpAfterMs, log);
  // Who gives up after a while, to end some time, can wait for so long.
  const mayDrop = giveUpAfterMs === Infinity;
  // All of them first: only when each can be used, spools are taken from who has them.
  const ends = forEachSignal((signal): End[] => [
    ...(destinations?.[signal] ?? []).map((destination) => {
      const sender = connect(signal, destination);
      const name = parseTarget(destination.url).url.replace(/\/$/, "");
      const sink: Sink = { ...sender, endpoints: [{ name, state: sender.state }] };
      return { sink, place: placeOfEndpoint(signal, destination.url) };
    }),
    ...others.map(({ sinks, place }) => ({ sink: sinks[signal], place })),
  ]);
  if (lanes !== null) attachAll(ends, lanes);
  return forEachSignal((signal) => {
    const sinks = ends[signal].map(({ sink }) => sink);
    if (sinks.length === 0) return createRefusal(signal);
    return sinks.length === 1 ? sinks[0] : createFanOut(signal, sinks, { mayDrop, log });
  });
}

interface End {
  sink: Sink;
  readonly place?: LanePlace;
}

/** Gives each of several a spool of its own; one alone only where it had one, and that is not empty. */
function attachAll(ends: Readonly<Record<Signal, readonly End[]>>, lanes: Lanes): void {
  const places = new Map<string, { place: LanePlace; ends: BySignal<End> }>();
  for (const signal of SIGNALS) {
    for (const end of ends[signal]) {
      if (end.place === undefined) continue;
      if (ends[signal].length === 1 && !lanes.has(end.place)) continue;
      // Another with that place differs in its password alone.
      const { folder, name } = end.place;
      let place = end.place;
      for (let i = 2; places.get(place.folder)?.ends[signal] !== undefined; i++) {
        place = { folder: `${folder}-${i}`, name };
      }
      const entry = places.get(place.folder) ?? { place, ends: {} };
      entry.ends[signal] = end;
      places.set(place.folder, entry);
    }
  }
  for (const { place, ends } of places.values()) {
    const sinks: BySignal<Sink> = {};
    for (const signal of SIGNALS) if (ends[signal]) sinks[signal] = ends[signal].sink;
    const attached = lanes.attach(place, sinks);
    for (const signal of SIGNALS) if (ends[signal]) ends[signal].sink = attached[signal]!;
  }
  lanes.look();
}
