/**
 * Attributes into records: within the limits, through the shape, and over as many records as they
 * need.
 *
 * @module
 */
import { LOSS_RING_FULL, RING_SPANS, SPAN_EVENT_BODY } from "../format/layout.ts";
import type { Shape } from "./shape.ts";
import {
  begin,
  beginNext,
  caller,
  CUT_MARK_BYTES,
  DICTIONARY_FULL,
  type RecordFile,
  reserveForEnds,
  SEQUENCES_USED_UP,
  WRITTEN,
} from "./slot.ts";
import { ATTRIBUTES, finishSpanRecord, hasSeen, putSpanHead, see, type SpanState } from "./span.ts";
import {
  ABSENT,
  endOfPut,
  INVALID,
  NO_KEY,
  NO_ROOM,
  noteCut,
  OK,
  putKeyValue,
  wasCut,
} from "./value.ts";

/** An object whose own enumerable properties are attributes. */
export type AttributeSource = Readonly<Record<string, unknown>>;

/**
 * What a caller gave as attributes; undefined when it can't be that. Of a text, a list or bytes every
 * element would be an attribute, and there may be millions.
 */
export function attributesOf(value: unknown): AttributeSource | undefined {
  try {
    return typeof value === "object" && value !== null && !Array.isArray(value) &&
        !ArrayBuffer.isView(value) && !(value instanceof String)
      ? value as AttributeSource
      : undefined;
  } catch {
    // A proxy that was revoked, or whose traps throw.
    return undefined;
  }
}

/**
 * In a loop over the keys of an object, engines know the answer of this one: it costs nothing there,
 * unlike `Object.hasOwn`, or one that comes from another module.
 */
const { hasOwnProperty } = Object.prototype;

let cutAttributeWarning: (key: string) => void = () => {};
let invalidAttributeWarning: (key: string, value: unknown) => void = () => {};

/** Who hears of attributes that were cut or left out (the SDK's diagnostics). */
export function onAttributeProblem(
  cut: (key: string) => void,
  invalid: (key: string, value: unknown) => void,
): void {
  cutAttributeWarning = cut;
  invalidAttributeWarning = invalid;
}

/** Stands for a value whose getter threw; invalid like any other symbol. */
const UNREADABLE: unique symbol = Symbol("unreadable");

/** Attributes of a span as a field of an UpdateAttributes or StartSpan. */
const SPAN_ATTRIBUTE = 0x4a;

/**
 * Writes attributes into the record at `slot` that reaches up to `at`, publishes it, and goes on in
 * UpdateAttributes records as long as attributes are left.
 */
export function putSpanAttributes(
  file: RecordFile,
  slot: number,
  at: number,
  span: SpanState,
  attributes: AttributeSource,
  limit: number,
  eventTag: number,
): number {
  const shape = span.shape;
  const { keys, refs } = shape;
  let expected = span.expected;
  // In variables, for every key passes here.
  let { seen, attributes: count } = span;
  let published = false;
  caller.runs = true;
  try {
    for (const key in attributes) {
      if (!hasOwnProperty.call(attributes, key)) continue;
      let value: unknown;
      try {
        // Reading by the loop's own key is what engines make fast: not in a function of its own.
        value = attributes[key];
      } catch {
        value = UNREADABLE;
      }
      if (value === undefined) continue;
      const position = keys[expected] === key ? expected : shape.find(key);
      expected = position + 1;
      const isNew = position < 0
        ? span.seenMore === null || !span.seenMore.has(key)
        : position < 32
        ? (seen & (1 << position)) === 0
        : !hasSeen(span, position);
      if (slot < 0 || (isNew && count >= limit)) {
        // No place for a further record, or no more of them allowed.
        span.droppedAttributes++;
        continue;
      }
      const keyRef = position < 0
        ? file.dictionary.intern(key)
        : refs[position] || shape.ref(position);
      let result = keyRef === 0
        ? keyProblem(file)
        : putKeyValue(at, SPAN_ATTRIBUTE, keyRef, value, false, shape, position);
      if (result === NO_ROOM) {
        // The rest goes into a record of its own.
        const finished = finishSpanRecord(file, slot, at, eventTag);
        if (finished !== WRITTEN) return published ? WRITTEN : finished;
        published = true;
        eventTag = ATTRIBUTES;
        slot = beginNext(file, RING_SPANS, file.spans, reserveForEnds(file) + 1, CUT_MARK_BYTES);
        if (slot < 0) {
          // Not written to the next file, which has no start to go on with.
          if (slot === SEQUENCES_USED_UP) file.lose(RING_SPANS, LOSS_RING_FULL);
          span.droppedAttributes++;
          continue;
        }
        putSpanHead(file.spans, slot, span);
        at = slot + SPAN_EVENT_BODY;
        result = putKeyValue(at, SPAN_ATTRIBUTE, keyRef, value, true, shape, position);
        if (wasCut()) cutAttributeWarning(key);
      }
      if (result === OK) {
        at = endOfPut();
        if (isNew) {
          count++;
          if (position < 0) (span.seenMore ??= new Set()).add(key);
          else if (position < 32) seen |= 1 << position;
          else see(span, position);
        }
      } else if (result === NO_KEY) {
        // All of them are written again, to the next file.
        if (!published) return DICTIONARY_FULL;
        // The record is written, without this one.
        noteCut();
        span.droppedAttributes++;
      } else {
        span.droppedAttributes++;
        invalidAttributeWarning(key, value);
      }
    }
  } catch (error) {
    rethrowOverflow(error);
    // A proxy that does not even say its keys, say. What was read before stays.
    span.droppedAttributes++;
  } finally {
    caller.runs = false;
  }
  span.expected = expected;
  span.seen = seen;
  span.attributes = count;
  if (slot < 0) return WRITTEN;
  const result = finishSpanRecord(file, slot, at, eventTag);
  // Only with many producers: what is there already counts, the loss was counted.
  return published ? WRITTEN : result;
}

/** Several late attributes in as few records as they fit in. */
export function writeAttributes(
  file: RecordFile,
  span: SpanState,
  attributes: AttributeSource,
  limit: number,
): number {
  const slot = begin(
    file,
    span.scopeRef,
    RING_SPANS,
    file.spans,
    reserveForEnds(file),
    CUT_MARK_BYTES,
  );
  if (slot < 0) return slot;
  span.shape.bind(file.dictionary);
  putSpanHead(file.spans, slot, span);
  const at = slot + SPAN_EVENT_BODY;
  return putSpanAttributes(file, slot, at, span, attributes, limit, ATTRIBUTES);
}

/** One late attribute. */
export function writeAttribute(
  file: RecordFile,
  span: SpanState,
  key: string,
  value: unknown,
  limit: number,
): number {
  if (value === undefined) return WRITTEN;
  const shape = span.shape;
  shape.bind(file.dictionary);
  const position = shape.keys[span.expected] === key ? span.expected : shape.find(key);
  span.expected = position + 1;
  const isNew = position < 0
    ? span.seenMore === null || !span.seenMore.has(key)
    : position < 32
    ? (span.seen & (1 << position)) === 0
    : !hasSeen(span, position);
  if (isNew && span.attributes >= limit) {
    span.droppedAttributes++;
    return WRITTEN;
  }
  const slot = begin(
    file,
    span.scopeRef,
    RING_SPANS,
    file.spans,
    reserveForEnds(file),
    CUT_MARK_BYTES,
  );
  if (slot < 0) return slot;
  const keyRef = position < 0 ? file.dictionary.intern(key) : shape.ref(position);
  putSpanHead(file.spans, slot, span);
  const at = slot + SPAN_EVENT_BODY;
  let result: number;
  caller.runs = true;
  try {
    result = keyRef === 0
      ? keyProblem(file)
      : putKeyValue(at, SPAN_ATTRIBUTE, keyRef, value, true, shape, position);
    if (result === OK) {
      if (wasCut()) cutAttributeWarning(key);
    } else if (result !== NO_KEY) {
      span.droppedAttributes++;
      invalidAttributeWarning(key, value);
      return WRITTEN;
    }
  } finally {
    caller.runs = false;
  }
  if (result === NO_KEY) return DICTIONARY_FULL;
  if (isNew) {
    span.attributes++;
    if (position < 0) (span.seenMore ??= new Set()).add(key);
    else if (position < 32) span.seen |= 1 << position;
    else see(span, position);
  }
  return finishSpanRecord(file, slot, endOfPut(), ATTRIBUTES);
}

/** A stack overflow is the caller's: hiding it would only move it. */
function rethrowOverflow(error: unknown): void {
  if (error instanceof RangeError) throw error;
}

/** Why a key has no ref. */
function keyProblem(file: RecordFile): number {
  return file.dictionary.full ? NO_KEY : INVALID;
}

/** How many attributes the last `putAttributeList` left out. */
export let listDropped = 0;

/**
 * Attributes of a record that can't be continued in another: values are cut to what fits, and what
 * does not fit at all is dropped and counted in `listDropped`. Returns the end, -1 when the
 * dictionary is full.
 */
export function putAttributeList(
  file: RecordFile,
  at: number,
  tag: number,
  shape: Shape,
  attributes: AttributeSource | undefined,
  limit: number,
): number {
  listDropped = 0;
  if (attributes === undefined) return at;
  let count = 0;
  let expected = 0;
  let full = false;
  caller.runs = true;
  try {
    for (const key in attributes) {
      if (!hasOwnProperty.call(attributes, key)) continue;
      let value: unknown;
      try {
        value = attributes[key];
      } catch {
        value = UNREADABLE;
      }
      if (value === undefined) continue;
      // Keys of what has no place are not interned: millions of them would use up the dictionary.
      if (full || count >= limit) {
        listDropped++;
        continue;
      }
      const position = shape.keys[expected] === key ? expected : shape.find(key);
      expected = position + 1;
      const keyRef = position < 0 ? file.dictionary.intern(key) : shape.ref(position);
      const result = keyRef === 0
        ? keyProblem(file)
        : putKeyValue(at, tag, keyRef, value, true, shape, position);
      if (result === OK) {
        at = endOfPut();
        count++;
      } else if (result === NO_KEY) {
        return -1;
      } else if (result !== ABSENT) {
        listDropped++;
        if (result === INVALID) invalidAttributeWarning(key, value);
        else full = true;
      }
    }
  } catch (error) {
    rethrowOverflow(error);
    listDropped++;
  } finally {
    caller.runs = false;
  }
  return at;
}
