/**
 * The JSON documents of a text: one a line, or one over several lines.
 *
 * @module
 */
import { createReadStream } from "node:fs";
import process from "node:process";
import type { Readable } from "node:stream";
import { createGunzip } from "node:zlib";

/** A document that is larger is not read. UTF-16 units; more than four times what a request may be. */
export const MAX_DOCUMENT = 64 << 20;

/** A document, or why there is none. */
export type Document =
  & {
    /** Where it starts, from 1. */
    readonly line: number;
  }
  & ({ readonly text: string } | { readonly problem: string });

/** Opens a file, or standard input for `-`. Errors come when it is read. */
export function openInput(path: string): Readable {
  return path === "-" ? process.stdin : createReadStream(path);
}

/** Takes a text apart; gzip is told by its first bytes. */
export async function* readDocuments(input: Readable): AsyncGenerator<Document> {
  let line = 0;
  let start = 0;
  let depth = 0;
  let open: string[] = [];
  let length = 0;
  const close = (): string => {
    const text = open.join("\n");
    open = [];
    length = 0;
    depth = 0;
    return text;
  };
  for await (const text of readLines(await plain(input))) {
    line++;
    if (text === null) {
      if (open.length > 0) yield { line: start, text: close() };
      yield { line, problem: `it has more than ${MAX_DOCUMENT >> 20} Mi characters` };
      continue;
    }
    if (open.length === 0 && text.trim() === "") continue;
    // A document that was cut off must not take the ones after it along.
    if (open.length > 0 && BEGINS.test(text) && isJson(text)) yield { line: start, text: close() };
    if (open.length === 0) start = line;
    open.push(text);
    length += text.length;
    depth += depthOf(text);
    if (length > MAX_DOCUMENT) {
      close();
      yield { line: start, problem: `it has more than ${MAX_DOCUMENT >> 20} Mi characters` };
    } else if (depth <= 0) yield { line: start, text: close() };
  }
  if (open.length > 0) yield { line: start, text: close() };
}

/** The first characters of a request on one line. */
const BEGINS = /^\s*\{\s*"resource(Spans|Metrics|Logs)"/;

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** How many more braces and brackets a line opens than it closes. A string ends on its line. */
function depthOf(text: string): number {
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (quoted) {
      if (code === 0x5c) i++;
      else if (code === 0x22) quoted = false;
    } else if (code === 0x22) quoted = true;
    else if (code === 0x7b || code === 0x5b) depth++;
    else if (code === 0x7d || code === 0x5d) depth--;
  }
  return depth;
}

/** Unpacks what begins as gzip does. */
async function plain(input: Readable): Promise<AsyncIterable<Uint8Array>> {
  const chunks = input[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  const head: Uint8Array[] = [];
  for (let bytes = 0; bytes < 2;) {
    const { done, value } = await chunks.next();
    if (done) break;
    head.push(value);
    bytes += value.length;
  }
  const first = head.flatMap((chunk) => [...chunk.subarray(0, 2)]);
  async function* all(): AsyncGenerator<Uint8Array> {
    yield* head;
    yield* { [Symbol.asyncIterator]: () => chunks };
  }
  return first[0] === 0x1f && first[1] === 0x8b ? unpack(all()) : all();
}

async function* unpack(packed: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const gunzip = createGunzip();
  const written = (async (): Promise<void> => {
    try {
      for await (const chunk of packed) {
        if (gunzip.destroyed) return;
        if (!gunzip.write(chunk)) {
          await new Promise<void>((resolve) => {
            gunzip.once("drain", resolve).once("close", resolve);
          });
        }
      }
      gunzip.end();
    } catch (error) {
      gunzip.destroy(error as Error);
    }
  })();
  yield* gunzip;
  await written;
}

/** Lines without their ends; null for one that is too long. */
async function* readLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string | null> {
  const decoder = new TextDecoder();
  let rest = "";
  let tooLong = false;
  for await (const chunk of chunks) {
    const pieces = decoder.decode(chunk, { stream: true }).split("\n");
    for (let i = 0; i < pieces.length; i++) {
      if (!tooLong) rest += pieces[i];
      if (rest.length > MAX_DOCUMENT) {
        tooLong = true;
        rest = "";
      }
      if (i < pieces.length - 1) {
        yield tooLong ? null : rest;
        rest = "";
        tooLong = false;
      }
    }
  }
  rest += decoder.decode();
  if (tooLong) yield null;
  else if (rest !== "") yield rest;
}
