/**
 * Signals that ask a command to end: with the first it stops where it may and says what it did, with
 * the second it is over at once.
 *
 * @module
 */
import process from "node:process";
import { log } from "./text/log.ts";

const NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 };

/** A signal that asks for the end. */
export type EndSignal = keyof typeof NUMBERS;

/** What is on its way gets so long, milliseconds. */
const LAST_SEND_MS = 5000;

/** Calls `stop` at the first of these signals; another one ends the process. */
export function onEndSignal(
  stop: (signal: EndSignal) => void,
  signals: readonly EndSignal[] = ["SIGINT", "SIGTERM"],
): void {
  let stopping = false;
  for (const signal of signals) {
    process.on(signal, () => {
      if (stopping) process.exit(128 + NUMBERS[signal]);
      stopping = true;
      stop(signal);
    });
  }
}

/** The end of a command that has so much to do, and may be told to leave some of it. */
export class Ending {
  /** What asked for it; null: nothing. */
  signal: EndSignal | null = null;
  private wake: (() => void) | null = null;

  /** @param abort Ends what is still on its way, when that has had its time. */
  constructor(abort: (reason: string) => void, signals?: readonly EndSignal[]) {
    onEndSignal((signal) => {
      this.signal = signal;
      const seconds = LAST_SEND_MS / 1000;
      log("info", `${signal}: ends when what is on its way is answered, within ${seconds} s`);
      setTimeout(() => abort(`ended by ${signal}`), LAST_SEND_MS);
      this.wake?.();
    }, signals);
  }

  /** The exit code of a program that was ended so; 0 where nothing asked for it. */
  get code(): number {
    return this.signal === null ? 0 : 128 + NUMBERS[this.signal];
  }

  /** What a promise comes to; undefined once the end was asked for. One at a time. */
  async first<T>(promise: Promise<T>): Promise<T | undefined> {
    if (this.signal !== null) return undefined;
    try {
      return await new Promise<T | undefined>((resolve, reject) => {
        this.wake = () => resolve(undefined);
        promise.then(resolve, reject);
      });
    } finally {
      this.wake = null;
    }
  }
}

/** Lets signals in, between two things that take long. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
