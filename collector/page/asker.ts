/**
 * Asks the thread that reads the store.
 *
 * @module
 */
import { Worker } from "node:worker_threads";
import type { Question } from "./questions.ts";
import type { Reply, Request } from "./worker.ts";

/** What the entry of a compiled collector brings along (tools/compile/bundle.ts). */
export const bundled: {
  /** The program itself, which in a thread is that thread's program. */
  url?: string;
} = {};

/** Asks questions, one after the other. */
export interface Asker {
  /** Never rejects: what goes wrong is a reply. */
  ask(question: Question, gzip?: boolean): Promise<Reply>;
  /** Ends the thread; what is asked from then on is unavailable. */
  close(): void;
}

/** Questions that wait at most. */
const MAX_WAITING = 256;

/** Prepares to ask the store at `path`. The thread starts with the first question. */
export function createAsker(path: string): Asker {
  const waiting = new Map<number, (reply: Reply) => void>();
  let worker: Worker | null = null;
  let closed = false;
  let next = 1;

  /** The thread is no more: whoever waits is told so, and the next question starts another one. */
  const lose = (which: Worker, message: string): void => {
    if (worker !== which) return;
    worker = null;
    for (const [id, resolve] of waiting) resolve({ id, kind: "unavailable", message });
    waiting.clear();
  };
  const start = (): Worker => {
    const url = bundled.url ?? new URL("./worker.ts", import.meta.url).href;
    const started = new Worker(new URL(url), { workerData: { path } });
    started.on("message", (reply: Reply) => {
      const resolve = waiting.get(reply.id);
      waiting.delete(reply.id);
      resolve?.(reply);
    });
    started.on("error", (error: Error) => {
      lose(started, `the thread that reads the store failed: ${error.message}`);
    });
    started.on("exit", () => lose(started, "the thread that reads the store ended"));
    // What is asked never keeps the collector from ending.
    started.unref();
    return started;
  };

  return {
    ask(question, gzip = false) {
      const id = next++;
      if (closed || waiting.size >= MAX_WAITING) {
        const message = closed ? "the collector is ending" : "too many questions wait";
        return Promise.resolve({ id, kind: "unavailable", message });
      }
      return new Promise((resolve) => {
        waiting.set(id, resolve);
        worker ??= start();
        const request: Request = { id, question, gzip };
        worker.postMessage(request);
      });
    },
    close() {
      closed = true;
      const ended = worker;
      if (ended !== null) lose(ended, "the collector is ending");
      void ended?.terminate();
    },
  };
}
