/**
 * The thread that reads the store: questions come in, answers go out as bytes. A search over all of a
 * large store takes some hundred milliseconds, in which rings fill: it must not hold up the thread that
 * drains them.
 *
 * @module
 */
import { parentPort, workerData } from "node:worker_threads";
import { gzipSync } from "node:zlib";
import { StoreError } from "../store/database.ts";
import { openQueries } from "../store/queries/queries.ts";
import { InvalidQuery, type StoreQueries } from "../store/queries/types.ts";
import { answer, type Question } from "./questions.ts";

/** What the thread is asked. */
export interface Request {
  readonly id: number;
  readonly question: Question;
  /** The answer may be compressed. */
  readonly gzip: boolean;
}

/** What it says. */
export type Reply =
  | {
    readonly id: number;
    readonly kind: "answer";
    readonly body: Uint8Array;
    readonly gzip: boolean;
  }
  | { readonly id: number; readonly kind: "none" }
  | {
    readonly id: number;
    readonly kind: "invalid" | "unavailable" | "too large" | "failed";
    readonly message: string;
  };

/** Answers are not larger than this, bytes before compression. */
const MAX_ANSWER_BYTES = 64 << 20;
/** Smaller ones are sent as they are. */
const LEAST_GZIP_BYTES = 4 << 10;

const { path } = workerData as { path: string };
let queries: StoreQueries | null = null;
const encoder = new TextEncoder();

function reply({ id, question, gzip }: Request): Reply {
  try {
    queries ??= openQueries(path);
    const text = answer(queries, question);
    if (text === null) return { id, kind: "none" };
    // Each character is a byte at least.
    const plain = text.length > MAX_ANSWER_BYTES ? null : encoder.encode(text);
    if (plain === null || plain.length > MAX_ANSWER_BYTES) {
      const message = `the answer has more than ${MAX_ANSWER_BYTES >> 20} MiB: ask for fewer rows`;
      return { id, kind: "too large", message };
    }
    const packed = gzip && plain.length >= LEAST_GZIP_BYTES;
    const body = packed ? copy(gzipSync(plain, { level: 1 })) : plain;
    return { id, kind: "answer", body, gzip: packed };
  } catch (error) {
    const { message } = error as Error;
    if (error instanceof InvalidQuery) return { id, kind: "invalid", message };
    if (error instanceof StoreError) return { id, kind: "unavailable", message };
    return { id, kind: "failed", message: `the store could not answer: ${message}` };
  }
}

/** Out of the pool that small buffers share, which can't be given away. */
function copy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}

parentPort?.on("message", (request: Request) => {
  const answered = reply(request);
  const moved = answered.kind === "answer" ? [answered.body.buffer as ArrayBuffer] : [];
  parentPort!.postMessage(answered, moved);
});
