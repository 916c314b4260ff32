/**
 * The end of an isolate that ends by itself: a program that is through, or calls `process.exit()`.
 * Signals and crashes are not heard of here.
 *
 * @module
 */
import process from "node:process";

const deno = (globalThis as { Deno?: { readonly exitCode?: number } }).Deno;

/**
 * Calls `hear` with the exit code when the isolate ends, behind everybody else who listens for that:
 * they may still have something to record. Not called where others listen behind it after all (they
 * were added in the turn in which the process ends), after an exception on Deno, and when a Worker is
 * terminated or ends with its process. What `hear` throws is lost. Returns the undo.
 */
export function onExit(hear: (code: number) => void): () => void {
  let isPassing = false;
  const end = (code: unknown): void => {
    undo();
    try {
      hear(Number(code ?? 0));
    } catch {
      // The process ends as it would without us.
    }
  };
  const onExit = (code: number): void => {
    if (process.listeners("exit").at(-1) !== onExit) return;
    // In a Worker, Bun says 0 after a rejection that nobody handled; but that comes without the event
    // of a program that is through.
    if (deno === undefined && process.exitCode === undefined && !isPassing) code ||= 1;
    end(process.exitCode ?? code);
  };
  const onNewListener = (name: string | symbol, listener: unknown): void => {
    if (name !== "exit" || listener === onExit) return;
    // It is told of before it is there.
    queueMicrotask(() => {
      if (!process.listeners("exit").includes(onExit)) return;
      process.removeListener("exit", onExit);
      process.on("exit", onExit);
    });
  };
  // Deno.exit() has this event alone. A program that is through has it between "beforeExit" and
  // "exit", where it is passed.
  const onUnload = (): void => {
    if (!isPassing) end(deno?.exitCode);
  };
  const onBeforeExit = (): void => {
    isPassing = true;
    // It goes on if a listener found something to do.
    setTimeout(() => isPassing = false).unref();
  };
  const undo = (): void => {
    process.removeListener("newListener", onNewListener);
    process.removeListener("exit", onExit);
    process.removeListener("beforeExit", onBeforeExit);
    if (deno !== undefined) globalThis.removeEventListener("unload", onUnload);
  };
  process.on("exit", onExit);
  process.on("newListener", onNewListener);
  process.on("beforeExit", onBeforeExit);
  if (deno !== undefined) globalThis.addEventListener("unload", onUnload);
  return undo;
}
