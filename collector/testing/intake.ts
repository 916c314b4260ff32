/**
 * An intake before a backend that answers as a test says.
 *
 * @module
 */
import type { Signal } from "../../lib/otlp/request.ts";
import { type ReceivedRequest, SendQueue, type Sink } from "../pipeline/queue.ts";
import { forEachSignal } from "../pipeline/signals.ts";
import { createIntake, type Intake } from "../receive/intake.ts";
import type { Outcome } from "../send/send.ts";
import { accept } from "./run.ts";

/** It, and what the test says. */
export interface Backend {
  readonly intake: Intake;
  /** The requests that came. */
  readonly came: Record<Signal, Uint8Array[]>;
  answer: (items: number, signal: Signal) => Promise<Outcome> | Outcome;
  /** Its last answer was none. */
  isAway: boolean;
  isFull: boolean;
  /** Somebody before it holds requests on purpose. */
  isHeld: boolean;
  isEnding: boolean;
}

/** Takes everything until it is told otherwise. */
export function createBackend(): Backend {
  const came = forEachSignal((): Uint8Array[] => []);
  const sinks = forEachSignal((signal): Sink => ({
    async send(body, items) {
      came[signal].push(body);
      return await backend.answer(items, signal);
    },
    abort: () => {},
    close: () => Promise.resolve(),
    get full() {
      return backend.isFull;
    },
    get endpoints() {
      const state = { takes: null, ok: !backend.isAway, failures: 0, allFailures: 0 };
      return [{ name: "backend", state }];
    },
  }));
  const backend: Backend = {
    came,
    intake: createIntake({
      queues: forEachSignal((signal) =>
        new SendQueue<ReceivedRequest>(sinks[signal], (request, outcome) => request.answer(outcome))
      ),
      sinks,
      isHeld: () => backend.isHeld,
      ending: () => backend.isEnding,
    }),
    answer: accept,
    isAway: false,
    isFull: false,
    isHeld: false,
    isEnding: false,
  };
  return backend;
}
