/** An application in a process of its own, told what to do a line at a time. */
import { type Span, trace } from "@opentelemetry/api";
import process from "node:process";
import { Worker as NodeWorker } from "node:worker_threads";
import { Mapping } from "../../ffi/mod.ts";
import { identity } from "../../lib/file/identity.ts";
import type { FileWriter } from "../../lib/file/write.ts";
import { createInPlace, type Place } from "../../lib/file/place.ts";
import { type Sdk, start, type StartOptions } from "../../lib/sdk/start.ts";
import { answerCommands } from "../support/programs.ts";

/** What a Worker of these tests answers with. */
type Answer = { path: string };
/** A Worker of either kind: does its part once, then waits to be ended. */
type Started = { answer: Promise<Answer>; terminate(): unknown };

const SMALL = { slots: 8, slotBytes: 256 };
const SIZES = { events: SMALL, spans: SMALL, measurements: SMALL, dictionaryBytes: 4096 };

let sdk: Sdk | undefined;
let kept: Span | undefined;
let mapping: Mapping | undefined;
let raced: FileWriter | undefined;
let workers: Started[] = [];

const commands: { [op: string]: (command: never) => unknown } = {
  start({ options }: { options: StartOptions }) {
    sdk = start({ env: {}, ...options });
    if (!sdk.recording) throw new Error(sdk.reason);
    return { path: sdk.path, pid: process.pid };
  },

  shutdown: () => sdk!.shutdown(),

  /** Records `spans` spans a batch and waits after each until they were read. */
  async record({ batches, spans }: { batches: number; spans: number }) {
    const tracer = trace.getTracer("live");
    for (let batch = 0; batch < batches; batch++) {
      const open: Span[] = [];
      for (let i = batch * spans; i < (batch + 1) * spans; i++) {
        const span = tracer.startSpan(`span ${i}`, { attributes: { i } });
        // A new key each time, so that the dictionary grows under the reader.
        span.setAttribute(`key.${i}.${"x".repeat(30)}`, i);
        span.addEvent("event", { i });
        open.push(span);
      }
      for (const span of open) span.end();
      if (!await sdk!.forceFlush({ timeout: 30_000 })) throw new Error("nobody reads");
    }
  },

  /** Records spans from number `from` on, without ever waiting. */
  spans({ from, count }: { from: number; count: number }) {
    const tracer = trace.getTracer("live");
    for (let i = from; i < from + count; i++) {
      const span = tracer.startSpan(`span ${i}`, { attributes: { i } });
      span.addEvent("event", { i });
      span.setAttribute("late", i);
      span.end();
    }
  },

  /** Starts a span that stays open, and says its id. */
  open({ name }: { name: string }) {
    kept = trace.getTracer("live").startSpan(name, { attributes: { kept: true } });
    return kept.spanContext().spanId;
  },

  /** Ends the span of `open`. */
  end: () => kept!.end(),

  flush: ({ timeout }: { timeout: number }) => sdk!.forceFlush({ timeout }),

  /** Does what a writer without locks does: has the file mapped. */
  map({ path }: { path: string }) {
    mapping = Mapping.open(path);
  },

  /** Makes a file in the moment in which another process does so. */
  race({ place, round }: { place: Place; round: number }) {
    const options = { identity: identity(), ...SIZES };
    raced?.close();
    // Both begin when the barrier that they share says so, not when their command arrives.
    Atomics.add(mapping!.i32, 0, 1);
    while (Atomics.load(mapping!.i32, 0) < 2 * round);
    raced = createInPlace(place, options);
    return raced.mapping.path;
  },

  /** Records one span in each of several Workers, which go on living. */
  async workers({ kind, count, place }: { kind: "node" | "web"; count: number; place: Place }) {
    for (let i = 0; i < count; i++) {
      workers.push(kind === "web" ? webWorker(place) : nodeWorker(place));
    }
    return await Promise.all(workers.map(({ answer }) => answer));
  },

  async endWorkers() {
    for (const worker of workers) await worker.terminate();
    workers = [];
  },
};

function webWorker(place: Place): Started {
  const worker = new Worker(new URL("./web_worker.ts", import.meta.url), { type: "module" });
  worker.postMessage(place);
  const answer = new Promise<Answer>((resolve, reject) => {
    worker.onmessage = (event: MessageEvent<Answer>) => resolve(event.data);
    worker.onerror = (event: ErrorEvent) => reject(new Error(event.message));
  });
  return { answer, terminate: () => worker.terminate() };
}

function nodeWorker(place: Place): Started {
  const worker = new NodeWorker(new URL("./node_worker.ts", import.meta.url), {
    workerData: place,
  });
  const answer = new Promise<Answer>((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
  return { answer, terminate: () => worker.terminate() };
}

await answerCommands((command) => commands[command.op as string](command as never));
