/**
 * Sizes of rings and file for a load: so large that nothing is refused while the collector pauses.
 *
 * A ring of N slots holds N - 1 records. The slots that are kept for the ends of open spans are not
 * lost to a load: those ends are among its records.
 *
 * @module
 */
import { type FileSizes, MIN_SLOT_BYTES, planFile, type RingSize } from "../../lib/file/write.ts";
import {
  MAX_SLOT_BYTES,
  RING_EVENTS,
  RING_MEASUREMENTS,
  RING_NAMES,
  RING_SPANS,
} from "../../lib/format/layout.ts";
import { sizeVariables } from "../../lib/sdk/sizes.ts";

/** What an application records at most. */
export interface Load {
  /** Spans a second. */
  readonly rate: number;
  /** Spans that come at once on top of that. */
  readonly burst: number;
  /** Log records a second. */
  readonly logsRate: number;
  /** Log records that come at once on top of that. */
  readonly logsBurst: number;
  /** Measurements a second. */
  readonly measurementsRate: number;
  /** Measurements that come at once on top of that. */
  readonly measurementsBurst: number;
  /** Calls between a span's start and its end that change it: attributes, links, names. */
  readonly updates: number;
  /** Events of a span. */
  readonly events: number;
  /** Attributes of a record; undefined: as many as fit the default slots. */
  readonly attributes?: number;
  /** Bytes of an attribute's value. */
  readonly attributeBytes?: number;
  /** For how long the collector takes nothing, milliseconds. */
  readonly pauseMs: number;
}

/** What a load asks of one ring. */
export interface RingAdvice {
  readonly name: (typeof RING_NAMES)[number];
  /** Records that have to fit. */
  readonly records: number;
  /** The fewest slots that hold them: a power of two. */
  readonly neededSlots: number;
  /** What to use: the default where that is enough. */
  readonly slots: number;
  readonly slotBytes: number;
  /** Header, availability words and slots. */
  readonly bytes: number;
}

/** What a load asks of a file. */
export interface Advice {
  /** By ring number. */
  readonly rings: readonly RingAdvice[];
  /** What differs from the defaults: `start({ sizes })`. */
  readonly sizes: FileSizes;
  /** The same as variables of the application. */
  readonly variables: Readonly<Record<string, string>>;
  /** Bytes of the file when it is made. */
  readonly bytes: number;
  /** Bytes of the file at most, once its dictionary has grown. */
  readonly mostBytes: number;
}

/** A log record's text, and a span's name, as bytes that are allowed for. */
export const BODY_BYTES = 256;
export const NAME_BYTES = 64;
export const DEFAULT_ATTRIBUTES = 10;
export const DEFAULT_ATTRIBUTE_BYTES = 32;

/** Tags, lengths, the ref of the key, and padding, of an attribute with text. */
const ATTRIBUTE_OVERHEAD_BYTES = 20;
/** By ring number: all of a record but its attributes. */
const HEAD_BYTES = [128 + BODY_BYTES, 112 + NAME_BYTES, 96] as const;

/**
 * @throws RangeError when no file can hold it, saying what to change.
 */
export function advise(load: Load): Advice {
  const pause = load.pauseMs / 1000;
  const spans = load.burst + load.rate * pause;
  const records: number[] = [];
  records[RING_EVENTS] = load.logsBurst + load.logsRate * pause + spans * load.events;
  records[RING_SPANS] = spans * (2 + load.updates);
  records[RING_MEASUREMENTS] = load.measurementsBurst + load.measurementsRate * pause;

  const defaults = planFile("").rings;
  const rings = RING_NAMES.map((_, ring) => {
    const { slots, slotBytes } = defaults[ring];
    const needed = slotsFor(Math.ceil(records[ring]));
    return {
      needed,
      slots: Math.max(needed, slots),
      slotBytes: slotBytesFor(load, ring, slotBytes),
    };
  });
  const sizes: Partial<Record<(typeof RING_NAMES)[number], Partial<RingSize>>> = {};
  rings.forEach(({ slots, slotBytes }, ring) => {
    const different: Partial<RingSize> = {};
    if (slots !== defaults[ring].slots) different.slots = slots;
    if (slotBytes !== defaults[ring].slotBytes) different.slotBytes = slotBytes;
    if (Object.keys(different).length > 0) sizes[RING_NAMES[ring]] = different;
  });
  const plan = planOrExplain(sizes);
  const ends = [...plan.offsets.slice(1), plan.dictionary];
  return {
    rings: rings.map(({ needed, slots, slotBytes }, ring) => ({
      name: RING_NAMES[ring],
      records: Math.ceil(records[ring]),
      neededSlots: needed,
      slots,
      slotBytes,
      bytes: ends[ring] - plan.offsets[ring],
    })),
    sizes,
    variables: Object.fromEntries(
      sizeVariables(sizes).map(([name, value]) => [name, String(value)]),
    ),
    bytes: plan.bytes,
    mostBytes: plan.reserve,
  };
}

function slotsFor(records: number): number {
  return 2 ** Math.max(1, Math.ceil(Math.log2(records + 1)));
}

function slotBytesFor(load: Load, ring: number, usual: number): number {
  const { attributes, attributeBytes } = load;
  if (attributes === undefined && attributeBytes === undefined) return usual;
  const each = ATTRIBUTE_OVERHEAD_BYTES + (attributeBytes ?? DEFAULT_ATTRIBUTE_BYTES);
  const bytes = HEAD_BYTES[ring] + (attributes ?? DEFAULT_ATTRIBUTES) * each;
  const rounded = Math.max(MIN_SLOT_BYTES, Math.ceil(bytes / 8) * 8);
  if (rounded > MAX_SLOT_BYTES) {
    throw new RangeError(
      `a record of the ${RING_NAMES[ring]} ring would need a slot of ${rounded} bytes, and there ` +
        `are none above ${MAX_SLOT_BYTES}: record fewer or shorter attributes`,
    );
  }
  return rounded;
}

function planOrExplain(sizes: FileSizes): ReturnType<typeof planFile> {
  try {
    return planFile("", sizes);
  } catch {
    throw new RangeError(
      "no file holds that, for none can have more than 256 MiB with its dictionary: spread the load over processes or " +
        "Workers, which have files of their own, sample, or plan for a shorter pause or smaller " +
        "records (--attributes, --attribute-bytes)",
    );
  }
}
