/**
 * Exemplars: for each series a few of its measurements, each with its time, span and the
 * attributes that the series does not have.
 *
 * A reservoir has a fixed number of places. What is in them lies in slots that all reservoirs
 * share, so that a reservoir whose series is never measured inside a span costs next to nothing.
 *
 * SDK specification, "ExemplarReservoir": SimpleFixedSizeExemplarReservoir and
 * AlignedHistogramBucketExemplarReservoir, the latter keeping the last measurement seen.
 *
 * @module
 */
import { BYTES, FIXED64, OtlpExemplar, tag } from "../format/fields.ts";
import type { Bytes } from "../record/bytes.ts";
import { putVarint, varintBytes } from "../record/wire.ts";
import type { StateReader, StateWriter } from "../state/bytes.ts";
import { Blocks, chunkOf, classFor, grown, Handles, MAX_BLOCK, offsetOf } from "./blocks.ts";

/** Most bytes of attributes kept of one exemplar; of longer ones none is kept. */
export const MAX_ATTRIBUTE_BYTES = 1024;
/** Most places of a reservoir. */
export const MAX_PLACES: number = MAX_BLOCK;

/** A measurement as offered; one object serves for all. */
export interface Sample {
  /** When it was measured, ns since the Unix epoch: low and high 32 bits. */
  timeLow: number;
  timeHigh: number;
  /** Whether the value is the int64 of `valueLow` and `valueHigh` or the double `value`. */
  isInt: boolean;
  valueLow: number;
  valueHigh: number;
  value: number;
  /** Where the 16 bytes of its trace's id and the 8 of its span's id are; -1 for no span. */
  ids: Bytes;
  traceIdAt: number;
  spanIdAt: number;
  /**
   * The attributes that its series does not have, from `attributesStart` up to `attributesEnd`, as
   * fields `filtered_attributes` of an exemplar: each with its tag and length.
   */
  attributes: Bytes;
  attributesStart: number;
  attributesEnd: number;
}

// Words of a slot.
const TIME = 0;
const VALUE = 2;
const FLAGS = 4;
/** Class of the block of the attributes, where there is one. */
const ATTRIBUTES_CLASS = 5;
const ATTRIBUTES_BLOCK = 6;
const ATTRIBUTES_LENGTH = 7;
const TRACE_ID = 8;
const SPAN_ID = 12;
const SLOT_WORDS = 16;
// Bits of FLAGS.
const IS_INT = 1;
const HAS_SPAN = 2;

/** Bytes of a block of attributes of class 0. */
const SMALLEST_ATTRIBUTES = 64;
/** Places of a reservoir of class 0. */
const SMALLEST_PLACES = 1;

/** Reservoirs by handle. */
export class ExemplarPool {
  private readonly handles = new Handles();
  private readonly slotNumbers = new Handles();
  /** Slots of `SLOT_WORDS` words. */
  private slots = new Int32Array(SLOT_WORDS * 16);
  /** Reservoirs' places: the number of the slot plus 1, 0 for none. */
  private readonly places = new Blocks((elements) => new Int32Array(elements), SMALLEST_PLACES);
  private readonly attributes = new Blocks(
    (elements) => new Uint8Array(elements),
    SMALLEST_ATTRIBUTES,
  );
  /** State of the random numbers (xorshift). */
  private readonly random = new Int32Array(1);

  // By handle.
  private size = new Uint16Array(16);
  private isAligned = new Uint8Array(16);
  /** Block of places; means something where `hasPlaces`. */
  private block = new Int32Array(16);
  private hasPlaces = new Uint8Array(16);
  /** Exemplars in it. */
  private kept = new Uint16Array(16);
  /** Measurements offered since the last reset. */
  private seen = new Float64Array(16);

  /** @param seed Where the random numbers start, any integer; without it, anywhere. */
  constructor(seed: number = Math.random() * 2 ** 32) {
    // 0 would stay 0.
    this.random[0] = (seed | 0) || 1;
  }

  /**
   * A new reservoir with a place for each bucket of an explicit histogram.
   *
   * @param buckets One more than there are boundaries; taken as 1 to MAX_PLACES.
   */
  createAligned(buckets: number): number {
    return this.create(buckets, 1);
  }

  /**
   * A new reservoir that keeps each of the measurements it is offered with the same probability.
   *
   * @param size How many it keeps; taken as 1 to MAX_PLACES.
   */
  createFixed(size: number): number {
    return this.create(size, 0);
  }

  /**
   * Offers a measurement: the slot to {@linkcode keep} it in at once, or -1 where the reservoir does
   * without it.
   *
   * @param bucket Of the histogram, from 0 on: for aligned reservoirs, which have no place for
   * one beyond their last.
   */
  choose(handle: number, bucket: number): number {
    let place = bucket;
    if (this.isAligned[handle] === 0) {
      const seen = this.seen[handle]++;
      place = seen < this.size[handle] ? seen : this.below(seen + 1);
    }
    if (place >= this.size[handle]) return -1;
    this.makePlaces(handle);
    const places = this.places.chunks[chunkOf(this.block[handle])];
    const at = offsetOf(this.block[handle]) + place;
    return places[at] !== 0 ? places[at] - 1 : this.takeSlot(handle, places, at);
  }

  /** Keeps a measurement in the slot that {@linkcode choose} just said. */
  keep(slot: number, sample: Sample): void {
    const { slots } = this;
    const at = SLOT_WORDS * slot;
    this.releaseAttributes(at);
    slots[at + TIME] = sample.timeLow;
    slots[at + TIME + 1] = sample.timeHigh;
    if (sample.isInt) {
      slots[at + VALUE] = sample.valueLow;
      slots[at + VALUE + 1] = sample.valueHigh;
    } else {
      number[0] = sample.value;
      slots[at + VALUE] = numberWords[0];
      slots[at + VALUE + 1] = numberWords[1];
    }
    let flags = sample.isInt ? IS_INT : 0;
    if (sample.traceIdAt >= 0 && sample.spanIdAt >= 0) {
      flags |= HAS_SPAN;
      const { view } = sample.ids;
      for (let i = 0; i < 4; i++) {
        slots[at + TRACE_ID + i] = view.getInt32(sample.traceIdAt + 4 * i, true);
      }
      slots[at + SPAN_ID] = view.getInt32(sample.spanIdAt, true);
      slots[at + SPAN_ID + 1] = view.getInt32(sample.spanIdAt + 4, true);
    }
    slots[at + FLAGS] = flags;
    const { attributes, attributesStart, attributesEnd } = sample;
    this.keepAttributes(at, attributes.u8, attributesStart, attributesEnd - attributesStart);
  }

  /** Where the random numbers are: a pool that goes on from there keeps the same measurements. */
  get randomState(): number {
    return this.random[0];
  }

  /** Goes on from there; 0 is no such state. */
  set randomState(state: number) {
    this.random[0] = state || 1;
  }

  /** Saves what a reservoir holds. */
  save(handle: number, out: StateWriter): void {
    out.double(this.seen[handle]);
    out.word(this.kept[handle]);
    const { slots } = this;
    for (let place = 0, left = this.kept[handle]; left > 0; place++) {
      const slot = this.slotAt(handle, place);
      if (slot < 0) continue;
      left--;
      const at = SLOT_WORDS * slot;
      out.word(place);
      for (let i = TIME; i <= FLAGS; i++) out.word(slots[at + i]);
      if ((slots[at + FLAGS] & HAS_SPAN) !== 0) {
        for (let i = TRACE_ID; i < SPAN_ID + 2; i++) out.word(slots[at + i]);
      }
      const length = slots[at + ATTRIBUTES_LENGTH];
      if (length === 0) out.word(0);
      else {
        const block = slots[at + ATTRIBUTES_BLOCK];
        const offset = offsetOf(block);
        out.array(this.attributes.chunks[chunkOf(block)].subarray(offset, offset + length));
      }
    }
  }

  /** Puts what was saved into a reservoir that is empty; throws an Error for what can't be. */
  restore(handle: number, from: StateReader): void {
    this.seen[handle] = from.counter();
    const kept = from.wordWithin(0, this.size[handle] + 1);
    if (kept === 0) return;
    this.makePlaces(handle);
    const places = this.places.chunks[chunkOf(this.block[handle])];
    const first = offsetOf(this.block[handle]);
    let place = -1;
    for (let i = 0; i < kept; i++) {
      place = from.wordWithin(place + 1, this.size[handle]);
      const at = SLOT_WORDS * this.takeSlot(handle, places, first + place);
      const { slots } = this;
      for (let word = TIME; word <= FLAGS; word++) slots[at + word] = from.word();
      if ((slots[at + FLAGS] & HAS_SPAN) !== 0) {
        for (let word = TRACE_ID; word < SPAN_ID + 2; word++) slots[at + word] = from.word();
      }
      const bytes = from.array();
      if (bytes.length > MAX_ATTRIBUTE_BYTES) from.fail(`an exemplar of ${bytes.length} bytes`);
      this.keepAttributes(at, bytes, 0, bytes.length);
    }
  }

  /** Exemplars in a reservoir. */
  countOf(handle: number): number {
    return this.kept[handle];
  }

  /** Bytes that {@linkcode put} writes at most. */
  fieldBytes(handle: number): number {
    let bytes = 0;
    for (let place = 0, left = this.kept[handle]; left > 0; place++) {
      const slot = this.slotAt(handle, place);
      if (slot < 0) continue;
      left--;
      const length = this.lengthOf(SLOT_WORDS * slot);
      bytes += 1 + varintBytes(length) + length;
    }
    return bytes;
  }

  /**
   * Writes the exemplars as fields of a data point.
   *
   * @param view Of the same memory as `out`, from the same byte on.
   * @param exemplarTag Of the field, one byte: it has another number in each kind of point.
   * @returns The position behind what was written.
   */
  put(
    handle: number,
    out: Uint8Array,
    view: DataView,
    to: number,
    exemplarTag: number,
  ): number {
    for (let place = 0, left = this.kept[handle]; left > 0; place++) {
      const slot = this.slotAt(handle, place);
      if (slot < 0) continue;
      left--;
      out[to] = exemplarTag;
      to = putVarint(out, to + 1, this.lengthOf(SLOT_WORDS * slot));
      to = this.putExemplar(SLOT_WORDS * slot, out, view, to);
    }
    return to;
  }

  /** Empties a reservoir, which starts anew: after each collection. */
  reset(handle: number): void {
    for (let place = 0; this.kept[handle] > 0; place++) {
      const slot = this.slotAt(handle, place);
      if (slot < 0) continue;
      this.releaseAttributes(SLOT_WORDS * slot);
      this.slotNumbers.give(slot);
      const block = this.block[handle];
      this.places.chunks[chunkOf(block)][offsetOf(block) + place] = 0;
      this.kept[handle]--;
    }
    this.seen[handle] = 0;
  }

  /** Gives the handle and its memory back. */
  free(handle: number): void {
    this.reset(handle);
    if (this.hasPlaces[handle] !== 0) {
      this.places.release(this.block[handle], classFor(this.size[handle], SMALLEST_PLACES));
    }
    this.handles.give(handle);
  }

  private create(size: number, isAligned: number): number {
    const handle = this.handles.take();
    if (handle === this.size.length) this.grow(handle * 2);
    this.size[handle] = size >= 1 ? Math.min(size, MAX_PLACES) : 1;
    this.isAligned[handle] = isAligned;
    this.hasPlaces[handle] = 0;
    this.kept[handle] = 0;
    this.seen[handle] = 0;
    return handle;
  }

  private makePlaces(handle: number): void {
    if (this.hasPlaces[handle] !== 0) return;
    this.block[handle] = this.places.allocate(classFor(this.size[handle], SMALLEST_PLACES));
    this.hasPlaces[handle] = 1;
  }

  /** A slot for a place that has none: `places[at]`. */
  private takeSlot(handle: number, places: Int32Array, at: number): number {
    const slot = this.slotNumbers.take();
    const end = SLOT_WORDS * (slot + 1);
    if (end > this.slots.length) this.slots = grown(this.slots, this.slots.length * 2);
    places[at] = slot + 1;
    this.kept[handle]++;
    return slot;
  }

  /** The slot of a place, -1 for none; the reservoir has places. */
  private slotAt(handle: number, place: number): number {
    const block = this.block[handle];
    return this.places.chunks[chunkOf(block)][offsetOf(block) + place] - 1;
  }

  /** A random integer from 0 to `end` - 1. */
  private below(end: number): number {
    let word = this.random[0];
    word ^= word << 13;
    word ^= word >>> 17;
    word ^= word << 5;
    this.random[0] = word;
    return Math.floor((word >>> 0) / 2 ** 32 * end);
  }

  private keepAttributes(at: number, from: Uint8Array, start: number, length: number): void {
    if (length <= 0 || length > MAX_ATTRIBUTE_BYTES) return;
    const blockClass = classFor(length, SMALLEST_ATTRIBUTES);
    const block = this.attributes.allocate(blockClass);
    const to = this.attributes.chunks[chunkOf(block)];
    const offset = offsetOf(block);
    for (let i = 0; i < length; i++) to[offset + i] = from[start + i];
    this.slots[at + ATTRIBUTES_BLOCK] = block;
    this.slots[at + ATTRIBUTES_CLASS] = blockClass;
    this.slots[at + ATTRIBUTES_LENGTH] = length;
  }

  private releaseAttributes(at: number): void {
    if (this.slots[at + ATTRIBUTES_LENGTH] === 0) return;
    this.attributes.release(this.slots[at + ATTRIBUTES_BLOCK], this.slots[at + ATTRIBUTES_CLASS]);
    this.slots[at + ATTRIBUTES_LENGTH] = 0;
  }

  /** Bytes of an exemplar without its tag and length. */
  private lengthOf(at: number): number {
    const span = (this.slots[at + FLAGS] & HAS_SPAN) === 0 ? 0 : SPAN_BYTES;
    return TIME_AND_VALUE_BYTES + span + this.slots[at + ATTRIBUTES_LENGTH];
  }

  private putExemplar(at: number, out: Uint8Array, view: DataView, to: number): number {
    const { slots } = this;
    const flags = slots[at + FLAGS];
    out[to] = TAGS.time;
    view.setInt32(to + 1, slots[at + TIME], true);
    view.setInt32(to + 5, slots[at + TIME + 1], true);
    out[to + 9] = (flags & IS_INT) === 0 ? TAGS.asDouble : TAGS.asInt;
    view.setInt32(to + 10, slots[at + VALUE], true);
    view.setInt32(to + 14, slots[at + VALUE + 1], true);
    to += TIME_AND_VALUE_BYTES;
    if ((flags & HAS_SPAN) !== 0) {
      out[to] = TAGS.spanId;
      out[to + 1] = 8;
      view.setInt32(to + 2, slots[at + SPAN_ID], true);
      view.setInt32(to + 6, slots[at + SPAN_ID + 1], true);
      out[to + 10] = TAGS.traceId;
      out[to + 11] = 16;
      for (let i = 0; i < 4; i++) view.setInt32(to + 12 + 4 * i, slots[at + TRACE_ID + i], true);
      to += SPAN_BYTES;
    }
    const length = slots[at + ATTRIBUTES_LENGTH];
    if (length === 0) return to;
    const block = slots[at + ATTRIBUTES_BLOCK];
    const from = this.attributes.chunks[chunkOf(block)];
    const offset = offsetOf(block);
    for (let i = 0; i < length; i++) out[to + i] = from[offset + i];
    return to + length;
  }

  private grow(length: number): void {
    this.size = grown(this.size, length);
    this.isAligned = grown(this.isAligned, length);
    this.block = grown(this.block, length);
    this.hasPlaces = grown(this.hasPlaces, length);
    this.kept = grown(this.kept, length);
    this.seen = grown(this.seen, length);
  }
}

const number = new Float64Array(1);
const numberWords = new Int32Array(number.buffer);

const TAGS = {
  time: tag(OtlpExemplar.time, FIXED64),
  asDouble: tag(OtlpExemplar.asDouble, FIXED64),
  asInt: tag(OtlpExemplar.asInt, FIXED64),
  spanId: tag(OtlpExemplar.spanId, BYTES),
  traceId: tag(OtlpExemplar.traceId, BYTES),
} as const;

const TIME_AND_VALUE_BYTES = 9 + 9;
/** The ids of span and trace with their tags and lengths. */
const SPAN_BYTES = 10 + 18;
