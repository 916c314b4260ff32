/**
 * Log records taken apart: what has a column of its own, the hashes of attributes, and the rest.
 *
 * @module
 */
import {
  AnyValue,
  BYTES,
  FIXED32,
  FIXED64,
  OtlpLogRecord,
  tag,
  VARINT,
} from "../../../lib/format/fields.ts";
import {
  cursor,
  MALFORMED,
  readLength,
  readTag,
  readVarint,
  skipField,
} from "../../../lib/record/wire.ts";
import { endOfFixed64, keepRun } from "./request.ts";
import { addTerm, createTerms, type Terms } from "./terms.ts";

/** A log record taken apart. Positions are in its request's bytes; -1 where there is none. */
export interface ParsedLog {
  time: number;
  observed: number;
  severity: number;
  trace: number;
  span: number;
  /** The AnyValue that is its body. */
  bodyFrom: number;
  bodyTo: number;
  /** The text in it, where it is text; otherwise the body is in the rest. */
  textFrom: number;
  textTo: number;
  rest: Uint8Array;
  restLength: number;
  readonly terms: Terms;
}

/** Makes room for a log record. */
export function createParsedLog(): ParsedLog {
  return {
    time: -1,
    observed: -1,
    severity: 0,
    trace: -1,
    span: -1,
    bodyFrom: -1,
    bodyTo: -1,
    textFrom: -1,
    textTo: -1,
    rest: new Uint8Array(1 << 12),
    restLength: 0,
    terms: createTerms(),
  };
}

const TIME = tag(OtlpLogRecord.time, FIXED64);
const OBSERVED = tag(OtlpLogRecord.observedTime, FIXED64);
const SEVERITY = tag(OtlpLogRecord.severityNumber, VARINT);
const BODY = tag(OtlpLogRecord.body, BYTES);
const ATTRIBUTE = tag(OtlpLogRecord.attributes, BYTES);
const TRACE = tag(OtlpLogRecord.traceId, BYTES);
const SPAN = tag(OtlpLogRecord.spanId, BYTES);
const TEXT = tag(AnyValue.string, BYTES);

const TYPES: Readonly<Record<number, number>> = {
  1: FIXED64,
  2: VARINT,
  3: BYTES,
  5: BYTES,
  6: BYTES,
  7: VARINT,
  8: FIXED32,
  9: BYTES,
  10: BYTES,
  11: FIXED64,
  12: BYTES,
};

/**
 * Takes the log record from `from` to `to` apart. Ids of a wrong size stay with the rest.
 *
 * @throws Rejection when it is malformed.
 */
export function parseLog(out: ParsedLog, bytes: Uint8Array, from: number, to: number): void {
  out.time =
    out.observed =
    out.trace =
    out.span =
      -1;
  out.bodyFrom =
    out.bodyTo =
    out.textFrom =
    out.textTo =
      -1;
  out.severity = out.restLength = out.terms.count = 0;
  if (out.rest.length < to - from) out.rest = new Uint8Array((to - from) * 2);
  let kept = from;
  for (let at = from; at < to;) {
    const fieldAt = at;
    const field = readTag(bytes, at, to);
    const value = cursor.at;
    let keep = false;
    switch (field) {
      case TIME:
        at = endOfFixed64(value, to);
        out.time = value;
        break;
      case OBSERVED:
        at = endOfFixed64(value, to);
        out.observed = value;
        break;
      case SEVERITY:
        out.severity = readVarint(bytes, value, to);
        at = cursor.at;
        keep = out.severity < 0 || out.severity > 24;
        if (keep) out.severity = 0;
        break;
      case TRACE:
      case SPAN: {
        const size = field === TRACE ? 16 : 8;
        at = readLength(bytes, value, to);
        keep = at - cursor.at !== size;
        if (keep) break;
        if (field === TRACE) out.trace = cursor.at;
        else out.span = cursor.at;
        break;
      }
      case BODY: {
        at = readLength(bytes, value, to);
        out.bodyFrom = cursor.at;
        out.bodyTo = at;
        keep = !findText(out, bytes, cursor.at, at);
        break;
      }
      case ATTRIBUTE:
        at = readLength(bytes, value, to);
        addTerm(out.terms, bytes, cursor.at, at);
        keep = true;
        break;
      default:
        if (TYPES[field >>> 3] !== undefined && TYPES[field >>> 3] !== (field & 7)) throw MALFORMED;
        at = skipField(bytes, value, to, field);
        keep = true;
    }
    if (keep) continue;
    keepRun(out, bytes, kept, fieldAt);
    kept = at;
  }
  keepRun(out, bytes, kept, to);
}

/** Notes where the text of a body is; false where it is something else, or not text alone. */
function findText(out: ParsedLog, bytes: Uint8Array, from: number, to: number): boolean {
  out.textFrom = out.textTo = -1;
  if (from === to || readTag(bytes, from, to) !== TEXT) return false;
  const end = readLength(bytes, cursor.at, to);
  if (end !== to) return false;
  out.textFrom = cursor.at;
  out.textTo = end;
  return true;
}
