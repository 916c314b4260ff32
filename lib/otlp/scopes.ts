/**
 * Scopes and resources of dictionaries as OTLP bytes, each known once per process however many
 * files and refs name it.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { DictionaryReader } from "../dictionary/read.ts";
import {
  BYTES,
  OtlpResource,
  OtlpResourceSpans,
  OtlpScope,
  OtlpScopeSpans,
  Resource,
  Scope,
  tag,
  VARINT,
} from "../format/fields.ts";
import { type Bytes, createBytes } from "../record/bytes.ts";
import {
  cursor,
  NO_SCOPE,
  putVarint,
  readLength,
  readTag,
  readVarint,
  skipField,
  TOO_LARGE,
} from "../record/wire.ts";
import { keepLast } from "./unique.ts";
import {
  aim,
  expectKeys,
  putKeyValue,
  putText,
  putTextOfRef,
  repeatedKeys,
  type ValueCache,
} from "./values.ts";

/** A resource as the fields of a ResourceSpans, ResourceLogs or ResourceMetrics. */
export interface ResourceEntry {
  /** Field `resource`. */
  readonly head: Uint8Array;
  /** Field `schema_url`, or nothing. */
  readonly tail: Uint8Array;
}

/** A scope as the fields of a ScopeSpans, ScopeLogs or ScopeMetrics. */
export interface ScopeEntry {
  /** Its index in the list of all scopes; used again once its process is forgotten. */
  readonly index: number;
  readonly resource: ResourceEntry;
  /** Index of the process it belongs to. */
  readonly process: number;
  /** Field `scope`. */
  readonly head: Uint8Array;
  /** Field `schema_url`, or nothing. */
  readonly tail: Uint8Array;
}

/** More scopes than this in one process are refused. */
export const MAX_SCOPES = 10_000;
/**
 * Bytes of all scopes and resources of one process, encoded; more are refused. A few bytes in a file
 * make many here, where they refer to a large value of the dictionary.
 */
export const MAX_SCOPE_BYTES: number = 16 << 20;
/** Largest encoding of a scope or resource, bytes. */
const MAX_ENCODED_BYTES = 1 << 20;

/** What is encoded is copied out of here at once. */
let scratch: Bytes | null = null;

/** The scopes and resources of one process. */
export class ScopeCache {
  private readonly scopes = new Map<string, number>();
  private readonly resources = new Map<string, { id: number; entry: ResourceEntry }>();
  private bytes = 0;

  /** @param resources Resources that are known already, as `allResources` said. */
  constructor(resources: readonly ResourceEntry[] = []) {
    for (const entry of resources) {
      this.bytes += sizeOf(entry);
      this.resources.set(keyOf(entry), { id: this.resources.size, entry });
    }
  }

  /**
   * The index in `all` of the scope that a ref of some file of the process names, added when it is
   * new. Throws a Rejection for what is no scope.
   */
  load(
    ref: number,
    process: number,
    keys: DictionaryReader,
    values: ValueCache,
    all: (ScopeEntry | null)[],
  ): number {
    if (ref === 0) throw NO_SCOPE;
    const out = scratch ??= createBytes(MAX_ENCODED_BYTES);
    aim(out, MAX_ENCODED_BYTES, keys, values);
    const scope = encodeScope(out, keys.entry(ref));
    if (scope.resourceRef === 0) throw NO_SCOPE;
    const resource = this.resource(out, keys, scope.resourceRef);
    const key = `${resource.id} ${keyOf(scope)}`;
    const known = this.scopes.get(key);
    if (known !== undefined) return known;
    if (this.scopes.size >= MAX_SCOPES) throw TOO_LARGE;
    this.hold(scope);
    let index = all.indexOf(null);
    if (index < 0) index = all.length;
    const { head, tail } = scope;
    all[index] = { index, resource: resource.entry, process, head, tail };
    this.scopes.set(key, index);
    return index;
  }

  /** The resource it was known by first. */
  get firstResource(): ResourceEntry | null {
    for (const { entry } of this.resources.values()) return entry;
    return null;
  }

  /** All resources, in the order in which they came. */
  allResources(): ResourceEntry[] {
    return [...this.resources.values()].map(({ entry }) => entry);
  }

  /**
   * Adds a scope under the index that it had.
   *
   * @param number The place of its resource in `allResources`.
   */
  restore(scope: ScopeEntry, number: number): void {
    this.bytes += sizeOf(scope);
    this.scopes.set(`${number} ${keyOf(scope)}`, scope.index);
  }

  /** The indexes of all scopes of the process. */
  indexes(): Iterable<number> {
    return this.scopes.values();
  }

  private resource(
    out: Bytes,
    keys: DictionaryReader,
    ref: number,
  ): { id: number; entry: ResourceEntry } {
    const entry = encodeResource(out, keys.entry(ref));
    const key = keyOf(entry);
    let known = this.resources.get(key);
    if (known === undefined) {
      // Not only with its scope, which may be refused.
      if (this.resources.size >= MAX_SCOPES) throw TOO_LARGE;
      this.hold(entry);
      known = { id: this.resources.size, entry };
      this.resources.set(key, known);
    }
    return known;
  }

  private hold(encoded: { head: Uint8Array; tail: Uint8Array }): void {
    if (this.bytes + sizeOf(encoded) > MAX_SCOPE_BYTES) throw TOO_LARGE;
    this.bytes += sizeOf(encoded);
  }
}

function sizeOf({ head, tail }: { head: Uint8Array; tail: Uint8Array }): number {
  return head.length + tail.length;
}

function keyOf({ head, tail }: { head: Uint8Array; tail: Uint8Array }): string {
  return `${text(head)} ${text(tail)}`;
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}

interface Encoded {
  head: Uint8Array;
  tail: Uint8Array;
  resourceRef: number;
}

const S = {
  nameRef: tag(Scope.nameRef, VARINT),
  versionRef: tag(Scope.versionRef, VARINT),
  attributes: tag(Scope.attributes, BYTES),
  dropped: tag(Scope.droppedAttributes, VARINT),
  resourceRef: tag(Scope.resourceRef, VARINT),
  schemaUrl: tag(Scope.schemaUrl, BYTES),
} as const;

function encodeScope(out: Bytes, entry: Bytes & { readonly length: number }): Encoded {
  const bytes = entry.u8;
  const end = entry.length;
  const encoded: Encoded = { head: NOTHING, tail: NOTHING, resourceRef: 0 };
  const ATTRIBUTES = tag(OtlpScope.attributes, BYTES);
  expectKeys(0);
  let to = 0;
  let at = 0;
  while (at < end) {
    const t = readTag(bytes, at, end);
    at = cursor.at;
    const stop = skipField(bytes, at, end, t);
    if (t === S.nameRef || t === S.versionRef) {
      const ref = readVarint(bytes, at, end);
      const field = t === S.nameRef ? OtlpScope.name : OtlpScope.version;
      if (ref !== 0) to = putTextOfRef(ref, tag(field, BYTES), to);
    } else if (t === S.attributes) {
      readLength(bytes, at, end);
      to = putKeyValue(entry, cursor.at, stop, ATTRIBUTES, to);
    } else if (t === S.dropped) {
      to = putCount(out.u8, to, tag(OtlpScope.droppedAttributes, VARINT), bytes, at, end);
    } else if (t === S.resourceRef) {
      encoded.resourceRef = readVarint(bytes, at, end);
    } else if (t === S.schemaUrl) {
      readLength(bytes, at, end);
      encoded.tail = schemaField(out, entry, cursor.at, stop, to);
    }
    at = stop;
  }
  if (repeatedKeys) to = keepLast(out.u8, 0, to, ATTRIBUTES, 0);
  encoded.head = field(tag(OtlpScopeSpans.scope, BYTES), out.u8, to);
  return encoded;
}

const R = {
  attributes: tag(Resource.attributes, BYTES),
  dropped: tag(Resource.droppedAttributes, VARINT),
  schemaUrl: tag(Resource.schemaUrl, BYTES),
} as const;

function encodeResource(out: Bytes, entry: Bytes & { readonly length: number }): ResourceEntry {
  const bytes = entry.u8;
  const end = entry.length;
  const ATTRIBUTES = tag(OtlpResource.attributes, BYTES);
  let tail: Uint8Array = NOTHING;
  expectKeys(0);
  let to = 0;
  let at = 0;
  while (at < end) {
    const t = readTag(bytes, at, end);
    at = cursor.at;
    const stop = skipField(bytes, at, end, t);
    if (t === R.attributes) {
      readLength(bytes, at, end);
      to = putKeyValue(entry, cursor.at, stop, ATTRIBUTES, to);
    } else if (t === R.dropped) {
      to = putCount(out.u8, to, tag(OtlpResource.droppedAttributes, VARINT), bytes, at, end);
    } else if (t === R.schemaUrl) {
      readLength(bytes, at, end);
      tail = schemaField(out, entry, cursor.at, stop, to);
    }
    at = stop;
  }
  if (repeatedKeys) to = keepLast(out.u8, 0, to, ATTRIBUTES, 0);
  return { head: field(tag(OtlpResourceSpans.resource, BYTES), out.u8, to), tail };
}

const NOTHING = new Uint8Array(0);

function putCount(
  out: Uint8Array,
  to: number,
  fieldTag: number,
  bytes: Uint8Array,
  at: number,
  end: number,
): number {
  const count = readVarint(bytes, at, end);
  if (count <= 0) return to;
  out[to] = fieldTag;
  return putVarint(out, to + 1, count);
}

/** Field `schema_url`, the same number in ResourceSpans and ScopeSpans; uses what is behind `to`. */
function schemaField(out: Bytes, from: Bytes, start: number, end: number, to: number): Uint8Array {
  if (start === end) return NOTHING;
  const stop = putText(from, start, end, tag(OtlpScopeSpans.schemaUrl, BYTES), to);
  return out.u8.slice(to, stop);
}

/** The first `length` bytes as a field of a length-delimited type. */
function field(fieldTag: number, content: Uint8Array, length: number): Uint8Array {
  const bytes = new Uint8Array(length + 6);
  bytes[0] = fieldTag;
  const at = putVarint(bytes, 1, length);
  bytes.set(content.subarray(0, length), at);
  return bytes.slice(0, at + length);
}
