/**
 * Rejections that nobody handles, where `uncaughtExceptionMonitor` does not hear of them.
 *
 * @module
 */
import process from "node:process";
import { runtime } from "./libc.ts";

/** `isFatal` is false where the runtime was told to go on. */
type Hear = (reason: unknown, isFatal: boolean) => void;

const hearers = new Set<Hear>();
const marker = {};
const heard: unknown[] = [];

/**
 * Calls `hear` with the reason of every rejection that nobody handles and that no listener of
 * `unhandledRejection` takes. What the runtime does about it stays the same. Does nothing where
 * listeners of `uncaughtExceptionMonitor` hear of them anyway. Returns the undo.
 */
export function onRejection(hear: Hear): () => void {
  if (monitorHearsRejections()) return () => {};
  // First, so that others who listen only once are still there.
  if (hearers.size === 0) process.prependListener("unhandledRejection", listener);
  hearers.add(hear);
  return () => {
    hearers.delete(hear);
    if (hearers.size === 0) process.removeListener("unhandledRejection", listener);
  };
}

/** Bun tells the monitor of rejections only where a flag makes exceptions of them. */
function monitorHearsRejections(): boolean {
  return runtime.name !== "bun" || ["strict", "throw"].includes(rejectionMode());
}

/** The value of `--unhandled-rejections`, "" when it is not given. */
function rejectionMode(): string {
  const flags = process.execArgv;
  const at = flags.findIndex((flag) => /^--unhandled-rejections(=|$)/.test(flag));
  if (at < 0) return "";
  return flags[at].includes("=") ? flags[at].split("=")[1] : flags[at + 1] ?? "";
}

/**
 * Hears of rejections as a listener, which keeps the runtime from doing what it does about them. So
 * they are made again, with the listener gone: the runtime then does what it would have done. One
 * more rejection behind them, which is ours, says when all that came together have been heard of,
 * so that they stay in order.
 */
function listener(reason: unknown): void {
  if (reason === marker) {
    process.removeListener("unhandledRejection", listener);
    // Here, not in a task of its own: the runtime shows the line it is at.
    for (const again of heard.splice(0)) void Promise.reject(again);
    setImmediate(() => {
      if (hearers.size > 0) process.prependListener("unhandledRejection", listener);
    });
    return;
  }
  // Others decide what becomes of it.
  if (process.listenerCount("unhandledRejection") > 1) return;
  const isLeftToUs = ["", "bun", "warn-with-error-code"].includes(rejectionMode());
  for (const hear of hearers) hear(reason, isLeftToUs);
  if (isLeftToUs && heard.push(reason) === 1) void Promise.reject(marker);
}
