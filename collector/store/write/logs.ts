/**
 * Log records into their table, the full-text index, and their window.
 *
 * @module
 */
import type { DatabaseSync } from "node:sqlite";
import { fromBinary, toJsonString } from "@bufbuild/protobuf";
import { AnyValueSchema } from "../../../proto/gen/otlp_pb.ts";
import { DECODING } from "../../send/decoding.ts";
import type { Earlier } from "../earlier.ts";
import { hashTrace } from "../hash.ts";
import { milliseconds } from "../time.ts";
import { createParsedLog, parseLog } from "../parse/logs.ts";
import { addTailTerm, type Tail } from "../window.ts";

/** Adds one log record, unless it was sent before. Throws Rejection when it can't be read. */
export type AddLog = (
  bytes: Uint8Array,
  view: DataView,
  from: number,
  to: number,
  origin: number,
) => void;

/** Words beyond so many characters of a body are not found. */
const MAX_TEXT = 1 << 16;

const decoder = new TextDecoder();

/**
 * @param db Open for writing.
 * @param earlier Knows what was stored before this start.
 */
export function createAddLog(db: DatabaseSync, tail: Tail, earlier: () => Earlier): AddLog {
  const insert = db.prepare("INSERT INTO logs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
  const index = db.prepare("INSERT INTO logs_text (rowid, body) VALUES (?, ?)");
  const parsed = createParsedLog();
  const { terms } = parsed;
  let keysOf = -1;
  let keys = 0;
  return (bytes, view, from, to, origin) => {
    parseLog(parsed, bytes, from, to);
    const { time, observed, severity, trace, span, textFrom, textTo, bodyFrom, bodyTo } = parsed;
    const body = textFrom >= 0
      ? decoder.decode(bytes.subarray(textFrom, textTo))
      : bodyFrom >= 0
      ? describe(bytes.subarray(bodyFrom, bodyTo))
      : null;
    const observedNs = observed < 0 ? 0n : view.getBigInt64(observed, true);
    let timeNs = time < 0 ? 0n : view.getBigInt64(time, true);
    if (timeNs === 0n) timeNs = observedNs;
    const row = [
      origin,
      timeNs,
      observedNs,
      severity,
      trace < 0 ? null : bytes.subarray(trace, trace + 16),
      span < 0 ? null : bytes.subarray(span, span + 8),
      body,
      parsed.rest.subarray(0, parsed.restLength),
    ];
    const timeMs = milliseconds(timeNs);
    if (earlier().take(timeMs, row)) return;
    const { first, count } = tail;
    const id = first + count;
    insert.run(id, ...row);
    if (body !== null && body !== "") index.run(id, body.slice(0, MAX_TEXT));
    const traceHash = trace < 0 ? 0 : hashTrace(bytes, trace);
    if (traceHash !== 0) addTailTerm(tail, traceHash);
    for (let i = 0; i < terms.count; i++) addTailTerm(tail, terms.hashes[i]);
    tail.time[count] = timeMs;
    tail.origin[count] = origin;
    tail.meta[count] = severity;
    tail.trace[count] = traceHash;
    tail.bytes += parsed.restLength + (body?.length ?? 0);
    tail.count++;
    if (keysOf !== first || keys !== terms.keys.size) {
      keysOf = first;
      keys = terms.keys.size;
      for (const [hash, key] of terms.keys) tail.keys.set(hash, key);
    }
  };
}

/** What is searched of a body that is not text. The value itself is kept beside. */
function describe(value: Uint8Array): string {
  try {
    return toJsonString(AnyValueSchema, fromBinary(AnyValueSchema, value, DECODING));
  } catch {
    return "";
  }
}
