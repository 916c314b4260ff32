/**
 * Resource and InstrumentationScope as dictionary entries.
 *
 * @module
 */
import type { DictionaryWriter } from "../dictionary/write.ts";
import { BYTES, Resource, Scope, tag, VARINT } from "../format/fields.ts";
import { Shape } from "./shape.ts";
import { aim, aside, endOfPut, OK, type Place, putCutStringField, putKeyValue } from "./value.ts";

/** The largest entry: far below what a collector should have to hold. */
const MAX_ENTRY_BYTES = 16_000;
/** Kept for the ref that follows the attributes. */
const TAIL_BYTES = 8;
const scratch = new Uint8Array(MAX_ENTRY_BYTES);
const place: Place = { u8: scratch, i32: new Int32Array(scratch.buffer) };

/** Attributes written once are not worth remembering. */
const NO_SHAPE = new Shape("");

/** What a resource entry says. */
export interface ResourceContent {
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly schemaUrl?: string;
}

/** What a scope entry says. */
export interface ScopeContent {
  readonly name: string;
  readonly version?: string;
  readonly schemaUrl?: string;
  readonly attributes?: Readonly<Record<string, unknown>>;
}

/** Appends a Resource and returns its ref; 0 when the dictionary is full. */
export function resourceMessage(dictionary: DictionaryWriter, resource: ResourceContent): number {
  return aside(() => {
    aim(place, MAX_ENTRY_BYTES - TAIL_BYTES, dictionary, Infinity);
    let at = putAttributes(dictionary, 0, Resource.attributes, resource.attributes);
    at = putSchemaUrl(at, Resource.schemaUrl, resource.schemaUrl);
    return append(dictionary, at);
  });
}

/** Appends an InstrumentationScope and returns its ref; 0 when the dictionary is full. */
export function scopeMessage(
  dictionary: DictionaryWriter,
  scope: ScopeContent,
  resourceRef: number,
): number {
  const nameRef = dictionary.intern(scope.name);
  const versionRef = dictionary.intern(scope.version ?? "");
  // A getter of a record's data may ask for a tracer.
  return aside(() => {
    aim(place, MAX_ENTRY_BYTES - TAIL_BYTES, dictionary, Infinity);
    let at = putRef(0, Scope.nameRef, nameRef);
    at = putRef(at, Scope.versionRef, versionRef);
    at = putAttributes(dictionary, at, Scope.attributes, scope.attributes ?? {});
    at = putRef(at, Scope.resourceRef, resourceRef);
    at = putSchemaUrl(at, Scope.schemaUrl, scope.schemaUrl);
    return append(dictionary, at);
  });
}

/** Not without a name or a key that found no room. */
function append(dictionary: DictionaryWriter, end: number): number {
  return dictionary.full ? 0 : dictionary.append(scratch.subarray(0, end));
}

function putAttributes(
  dictionary: DictionaryWriter,
  at: number,
  field: number,
  attributes: Readonly<Record<string, unknown>>,
): number {
  for (const key of Object.keys(attributes)) {
    const ref = dictionary.intern(key);
    if (ref === 0) continue;
    if (putKeyValue(at, tag(field, BYTES), ref, attributes[key], true, NO_SHAPE, -1) === OK) {
      at = endOfPut();
    }
  }
  return at;
}

function putRef(at: number, field: number, ref: number): number {
  if (ref === 0) return at;
  scratch[at++] = tag(field, VARINT);
  for (; ref > 0x7f; ref >>>= 7) scratch[at++] = (ref & 0x7f) | 0x80;
  scratch[at++] = ref;
  return at;
}

function putSchemaUrl(at: number, field: number, url: string | undefined): number {
  if (!url) return at;
  const wide = tag(field, BYTES);
  scratch[at] = (wide & 0x7f) | 0x80;
  // One byte of tag is written before the string by hand, the other with it.
  return putCutStringField(at + 1, wide >> 7, url) === OK ? endOfPut() : at;
}
