/**
 * A spool for each of several endpoints, behind the one for everything: so one that is slow or away
 * neither holds back the others nor loses anything, and goes on where it was after a kill.
 *
 * Each is a folder of its own, `endpoints/<host>-<hash>`, rather than a position in one log: what is
 * sent differs where tail sampling or processors are reloaded in between, several collectors may have
 * different endpoints and one directory, and what is dropped, taken over or damaged concerns one.
 *
 * @module
 */
import { join } from "node:path";
import { clearInterval, setInterval } from "node:timers";
import type { Signal } from "../../lib/otlp/request.ts";
import { openSpool, type Spool } from "../../lib/spool/mod.ts";
import type { Sink } from "../pipeline/queue.ts";
import { SIGNALS } from "../pipeline/signals.ts";
import { printable } from "../text/text.ts";
import type { DrainerOptions } from "./drainer.ts";
import { createLeftovers, holdsRequests } from "./leftovers.ts";
import { createSpooling, type Spooling } from "./spool.ts";
import type { LanePlace } from "./spool-place.ts";
import { createSwitch, type SwitchSink } from "./switch.ts";

/** Between two looks for folders that nobody sends from, ms. */
const LOOK_MS = 30_000;

/** Something of some signals. */
export type BySignal<T> = Partial<Record<Signal, T>>;

/** How lanes keep requests. */
export interface LaneOptions extends DrainerOptions {
  /** The spool for everything: they are in its folder, and share its limit. */
  readonly spool: Spool;
  /** See SpoolOptions. */
  readonly maxAgeMs: number;
}

/** The spools of endpoints. */
export interface Lanes {
  /** True where requests wait for this endpoint alone, or may come to. */
  has(place: LanePlace): boolean;
  /**
   * Puts the spool of an endpoint before what sends to it. Where it has one already, for sinks that
   * are about to be closed, these have it no longer: what is stored goes to `sinks`.
   *
   * @returns the sinks as they are when it can't be opened, with a message.
   */
  attach(place: LanePlace, sinks: BySignal<Sink>): BySignal<Sink>;
  /** Says what waits for an endpoint that is named no longer, once of each. */
  look(): void;
  /** Lines that say what is left, and what was lost. */
  describe(): string[];
  /** Requests that are left. */
  readonly left: number;
  /** Ends it, after the sinks were closed. */
  close(): void;
}

/** What is sent from a spool. */
interface End {
  /** What sends, which may be another after a reload. */
  sender: Sink;
  readonly way: SwitchSink;
  readonly sink: Sink;
  /** Counts who had it: the last has it. */
  user: number;
  isEnding: boolean;
}

interface Lane {
  readonly spooling: Spooling;
  readonly ends: Map<Signal, End>;
  isOpen: boolean;
}

/** Opens none yet. */
export function createLanes({ spool, maxAgeMs, ...options }: LaneOptions): Lanes {
  const { log } = options;
  const folder = join(spool.folder, "endpoints");
  const { budget } = spool;
  /** By folder, those that are closed too: what is left in them is said at the end. */
  const lanes = new Map<string, Lane>();
  const leftovers = createLeftovers(
    { folder, budget, maxAgeMs, log },
    (name) => lanes.get(name)?.isOpen === true,
  );
  const timer = setInterval(() => leftovers.look(), LOOK_MS);
  timer.unref();

  function open({ folder: name, name: endpoint }: LanePlace): Lane | null {
    const before = lanes.get(name);
    if (before?.isOpen) return before;
    const path = join(folder, name);
    leftovers.free(name);
    try {
      const own = openSpool(path, { budget, maxAgeMs });
      const spooling = createSpooling(own, options, endpoint);
      const lane = { spooling, ends: new Map(), isOpen: true };
      lanes.set(name, lane);
      return lane;
    } catch (error) {
      log(
        "warn",
        `the spool ${printable(path, 200)} can't be used: ${(error as Error).message}; what ` +
          `${endpoint} does not keep up with is not stored`,
      );
      return null;
    }
  }

  /** Goes on sending with another sink, or begins to. */
  function use(lane: Lane, signal: Signal, sender: Sink): Sink {
    const { ends, spooling } = lane;
    let end = ends.get(signal);
    if (end === undefined || end.isEnding) {
      const way = createSwitch(sender);
      end = { sender, way, sink: spooling.add(signal, way), user: 0, isEnding: false };
      ends.set(signal, end);
    } else if (end.sender !== sender) {
      end.sender = sender;
      void end.way.replace(sender);
    }
    const { sink } = end;
    const mine = end;
    const user = ++end.user;
    // All of the sink's, but that only the last to have it can end it.
    return Object.create(sink, {
      endpoints: {
        get: () => sink.endpoints?.map((each) => ({ ...each, spool: spooling.spool })),
      },
      abort: {
        value: (reason: string): void => {
          if (mine.user === user) sink.abort(reason);
        },
      },
      close: {
        async value(): Promise<void> {
          if (mine.user !== user) return;
          mine.isEnding = true;
          await sink.close();
          // Not before all signals have: until then others acknowledge what they sent.
          if (ends.get(signal) === mine) ends.delete(signal);
          if (ends.size > 0) return;
          lane.isOpen = false;
          spooling.close();
        },
      },
    });
  }

  return {
    has({ folder: name }) {
      return lanes.get(name)?.isOpen === true || holdsRequests(join(folder, name));
    },
    attach(place, sinks) {
      const lane = open(place);
      if (lane === null) return sinks;
      const attached: BySignal<Sink> = {};
      for (const signal of SIGNALS) {
        const sender = sinks[signal];
        if (sender !== undefined) attached[signal] = use(lane, signal, sender);
      }
      return attached;
    },
    look: () => leftovers.look(),
    describe: () => [...lanes.values()].flatMap(({ spooling }) => spooling.describe()),
    get left() {
      return [...lanes.values()].reduce((sum, { spooling }) => sum + spooling.left, 0);
    },
    close() {
      clearInterval(timer);
      for (const { spooling } of lanes.values()) spooling.close();
    },
  };
}
