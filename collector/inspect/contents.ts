/**
 * What a file's rings and dictionary hold.
 *
 * @module
 */
import { fromBinary } from "@bufbuild/protobuf";
import { DictionaryReader } from "../../lib/dictionary/read.ts";
import { readExtension } from "../../lib/file/extension.ts";
import type { Geometry } from "../../lib/file/geometry.ts";
import {
  AVAILABILITY_BYTES,
  DICTIONARY_END,
  DICTIONARY_HEADER_BYTES,
  DICTIONARY_NUM_ENTRIES,
  RING_NAMES,
  RING_WRITER_INDEX,
} from "../../lib/format/layout.ts";
import { cursor, readVarint } from "../../lib/record/wire.ts";
import {
  type AnyValue,
  AnyValueSchema,
  type KeyValueRef,
  ResourceSchema,
} from "../../proto/gen/mmap_pb.ts";
import { loadIndex } from "../../lib/ring/index.ts";
import { untrustedRecords } from "../files/power.ts";
import type { FileImage } from "./image.ts";

/** One ring. */
export interface RingContents {
  readonly name: (typeof RING_NAMES)[number];
  readonly slots: number;
  readonly slotBytes: number;
  /** Header, availability words and slots. */
  readonly bytes: number;
  /** Records that writers have claimed so far. */
  readonly claimed: number;
  /** Records that readers have given back so far. */
  readonly released: number;
  /** The difference: in the ring, and not read, or not delivered yet. */
  readonly inRing: number;
  /** How many of these are claimed and not published, or were not synced before the power was lost. */
  readonly unpublished: number;
}

/** The rings by ring number. */
export function readRings(image: FileImage, geometry: Geometry): RingContents[] {
  const isCounted = readExtension(image, geometry.rings[0].offset) !== null;
  return geometry.rings.map((geometry) => {
    const { ring, offset, slots, slotBytes, availability, firstSlot } = geometry;
    const released = loadIndex(image.i64, geometry).sequence + 1;
    const claimed = Number(image.i64[(offset + RING_WRITER_INDEX) / 8]) + 1;
    const untrusted = isCounted ? untrustedRecords(image, geometry) : 0;
    let unpublished = untrusted;
    for (let sequence = released; sequence < claimed - untrusted; sequence++) {
      const word = image.i32[availability / AVAILABILITY_BYTES + sequence % slots];
      // A slot that was used again since the indexes were read is ahead.
      if (((word - Math.floor(sequence / slots)) | 0) < 0) unpublished++;
    }
    return {
      name: RING_NAMES[ring],
      slots,
      slotBytes,
      bytes: firstSlot - offset + slots * slotBytes,
      claimed,
      released,
      inRing: claimed - released,
      unpublished,
    };
  });
}

/** A value as JSON has it: integers beyond 2^53 as text, bytes as hexadecimal digits. */
export type PlainValue =
  | string
  | number
  | boolean
  | null
  | PlainValue[]
  | { [key: string]: PlainValue };

/** The dictionary. */
export interface DictionaryContents {
  /** Entries that are there. */
  readonly entries: number;
  /** Bytes that they take. */
  readonly usedBytes: number;
  /** Bytes there are for entries in the file as long as it is now; our writer makes it longer. */
  readonly capacityBytes: number;
  /** Where the first entry is that can't be read, with all behind it; null when all can. */
  readonly damagedAt: number | null;
  /** Attributes of the resources, in the order in which they were written. */
  readonly resources: readonly { [key: string]: PlainValue }[];
}

const MAX_RESOURCES = 16;
const MAX_DEPTH = 8;
const SERVICE_NAME = "service.name";

/** Walks the dictionary. */
export function readDictionary(image: FileImage, geometry: Geometry): DictionaryContents {
  const { dictionary } = geometry;
  const first = dictionary + DICTIONARY_HEADER_BYTES;
  // Longer than the file where the power was lost.
  const end = Math.min(image.size, Number(wordAt(image, dictionary + DICTIONARY_END)));
  const claimed = Number(wordAt(image, dictionary + DICTIONARY_NUM_ENTRIES));
  const reader = new DictionaryReader(image, dictionary);
  const resources: { [key: string]: PlainValue }[] = [];
  // Entries don't say what they are: a resource is what has the key service.name as one has.
  let serviceName = 0;
  let entries = 0;
  let damagedAt: number | null = null;
  for (let at = first; at < end;) {
    let length: number;
    try {
      length = readVarint(image.u8, at, end);
    } catch {
      length = -1;
    }
    const start = cursor.at;
    // Other writers may claim room that they never fill: zeros behind the entries are not damage.
    if (length < 0 || start + length > end || (length === 0 && entries >= claimed)) {
      if (entries < claimed) damagedAt = at;
      break;
    }
    const body = image.u8.subarray(start, start + length);
    if (serviceName === 0 && length === SERVICE_NAME.length && textOf(body) === SERVICE_NAME) {
      serviceName = at;
    } else if (serviceName !== 0 && resources.length < MAX_RESOURCES) {
      const resource = asResource(body, reader, serviceName);
      if (resource !== null) resources.push(resource);
    }
    entries++;
    at = start + length;
  }
  return {
    entries,
    usedBytes: end - first,
    capacityBytes: image.size - first,
    damagedAt,
    resources,
  };
}

/** The dictionary's words need not be on a boundary in files of other writers. */
function wordAt(image: FileImage, offset: number): bigint {
  return new DataView(image.u8.buffer).getBigInt64(offset, true);
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function asResource(
  body: Uint8Array,
  dictionary: DictionaryReader,
  serviceName: number,
): { [key: string]: PlainValue } | null {
  try {
    const { attributes } = fromBinary(ResourceSchema, body);
    if (!attributes.some(({ keyRef }) => keyRef === BigInt(serviceName))) return null;
    return plainAttributes(attributes, dictionary, 0);
  } catch {
    return null;
  }
}

function plainAttributes(
  pairs: readonly KeyValueRef[],
  dictionary: DictionaryReader,
  depth: number,
): { [key: string]: PlainValue } {
  const plain: { [key: string]: PlainValue } = Object.create(null);
  for (const { keyRef, value } of pairs) {
    const { u8, length } = dictionary.entry(Number(keyRef));
    plain[textOf(u8.subarray(0, length))] = plainValue(value, dictionary, depth);
  }
  return plain;
}

function plainValue(
  any: AnyValue | undefined,
  dictionary: DictionaryReader,
  depth: number,
): PlainValue {
  if (depth > MAX_DEPTH) return "…";
  const held = any?.value;
  switch (held?.case) {
    case undefined:
      return null;
    case "arrayValue":
      return held.value.values.map((value) => plainValue(value, dictionary, depth + 1));
    case "kvlistValue":
      return plainAttributes(held.value.values, dictionary, depth + 1);
    case "bytesValue":
      return Array.from(held.value, (byte) => byte.toString(16).padStart(2, "0")).join("");
    case "valueRef": {
      const { u8, length } = dictionary.entry(Number(held.value));
      const there = fromBinary(AnyValueSchema, u8.subarray(0, length));
      return plainValue(there, dictionary, depth + 1);
    }
    case "intValue": {
      const number = Number(held.value);
      return Number.isSafeInteger(number) ? number : String(held.value);
    }
    default:
      return held!.value as PlainValue;
  }
}
