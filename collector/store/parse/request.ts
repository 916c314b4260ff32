/**
 * Export requests of any signal taken apart into blocks (a resource and a scope) and their items:
 * the messages have the same field numbers in all three.
 *
 * @module
 */
import { BYTES, OtlpResourceSpans, OtlpScopeSpans, tag } from "../../../lib/format/fields.ts";
import { cursor, MALFORMED, readLength, readTag, skipField } from "../../../lib/record/wire.ts";

/** A part of the request's bytes; empty where the field is missing. */
export interface Range {
  from: number;
  to: number;
}

/** The resource and scope of some items. */
export interface Block {
  readonly resource: Range;
  readonly resourceUrl: Range;
  readonly scope: Range;
  readonly scopeUrl: Range;
}

const RESOURCE_ITEMS = tag(1, BYTES);
const RESOURCE = tag(OtlpResourceSpans.resource, BYTES);
const SCOPE_ITEMS = tag(OtlpResourceSpans.scopeSpans, BYTES);
const SCOPE = tag(OtlpScopeSpans.scope, BYTES);
const ITEM = tag(OtlpScopeSpans.spans, BYTES);
const URL = tag(OtlpResourceSpans.schemaUrl, BYTES);

/**
 * Calls `onBlock` for each block, and after it `onItem` for each of its items.
 *
 * @throws Rejection when the request is malformed.
 */
export function walkRequest(
  bytes: Uint8Array,
  onBlock: (block: Block) => void,
  onItem: (from: number, to: number) => void,
): void {
  forEachMessage(bytes, 0, bytes.length, RESOURCE_ITEMS, (from, to) => {
    const resource = lastMessage(bytes, from, to, RESOURCE);
    const resourceUrl = lastMessage(bytes, from, to, URL);
    forEachMessage(bytes, from, to, SCOPE_ITEMS, (scopeFrom, scopeTo) => {
      const scope = lastMessage(bytes, scopeFrom, scopeTo, SCOPE);
      const scopeUrl = lastMessage(bytes, scopeFrom, scopeTo, URL);
      onBlock({ resource, resourceUrl, scope, scopeUrl });
      forEachMessage(bytes, scopeFrom, scopeTo, ITEM, onItem);
    });
  });
}

/** Calls `found` with the content of each field that has this tag (of a length-delimited field). */
export function forEachMessage(
  bytes: Uint8Array,
  from: number,
  to: number,
  wanted: number,
  found: (from: number, to: number) => void,
): void {
  for (let at = from; at < to;) {
    const field = readTag(bytes, at, to);
    if (field !== wanted) {
      at = skipField(bytes, cursor.at, to, field);
      continue;
    }
    at = readLength(bytes, cursor.at, to);
    found(cursor.at, at);
  }
}

/** The content of the last field with this tag; empty where there is none. */
export function lastMessage(bytes: Uint8Array, from: number, to: number, wanted: number): Range {
  const range = { from, to: from };
  forEachMessage(bytes, from, to, wanted, (start, end) => {
    range.from = start;
    range.to = end;
  });
  return range;
}

/** The end of a fixed64 at `at`. @throws Rejection when it is cut off. */
export function endOfFixed64(at: number, to: number): number {
  if (at + 8 > to) throw MALFORMED;
  return at + 8;
}

/** Adds a part of the bytes to the fields that are kept as they are. */
export function keepRun(
  out: { readonly rest: Uint8Array; restLength: number },
  bytes: Uint8Array,
  from: number,
  to: number,
): void {
  if (from === to) return;
  out.rest.set(bytes.subarray(from, to), out.restLength);
  out.restLength += to - from;
}
