/**
 * Filters of spans and log records as plans for scanning, and as questions about one row.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { hashBytes } from "../hash.ts";
import type { Plan, PlanTerm } from "../read/scan.ts";
import { milliseconds } from "../time.ts";
import { originsOf, type Reader, resourceOf, scopeOf } from "../read/reader.ts";
import { decodeRest, KINDS, nameOf, type SpanRow, STATUSES } from "../read/spans.ts";
import { isAmong, toAttributes, toWanted, type Wanted } from "../read/values.ts";
import {
  META_INTERRUPTED,
  META_KIND,
  META_ROOT,
  META_STATUS,
  META_STATUS_SHIFT,
} from "../window.ts";
import { type AttributeFilter, InvalidQuery, type Page, type SpanFilter } from "./types.ts";

/** A filter of spans, ready to be used. */
export interface SpanMatcher {
  readonly plan: Plan;
  /** Nothing of it is known by a hash alone: what the scan finds is right. */
  readonly exact: boolean;
  /** Does this row fit? */
  matches(row: SpanRow): boolean;
}

/** @throws InvalidQuery when something in it can't be asked. */
export function compile(reader: Reader, filter: SpanFilter): SpanMatcher {
  const wanted = (filter.attributes ?? []).map(toWanted);
  let mask = 0;
  let meta = 0;
  const require = (bits: number, value: number): void => {
    mask |= bits;
    meta |= value;
  };
  if (filter.status !== undefined) {
    require(META_STATUS, numberOf("status", STATUSES, filter.status) << META_STATUS_SHIFT);
  }
  if (filter.kind !== undefined) require(META_KIND, numberOf("kind", KINDS, filter.kind));
  if (filter.interrupted !== undefined) {
    require(META_INTERRUPTED, filter.interrupted ? META_INTERRUPTED : 0);
  }
  if (filter.root !== undefined) require(META_ROOT, filter.root ? META_ROOT : 0);
  const part = filter.nameContains?.toLowerCase();
  const byName = filter.name !== undefined || part !== undefined;
  const plan: Plan = {
    from: filter.fromMs ?? -Infinity,
    to: filter.toMs ?? Infinity,
    minDuration: filter.minDurationNs ?? 0,
    maxDuration: filter.maxDurationNs ?? Infinity,
    mask,
    meta,
    minMeta: 0,
    origins: originsOfServices(reader, filter.services),
    names: filter.name !== undefined
      ? new Set([hashBytes(Buffer.from(filter.name))])
      : part !== undefined
      ? namesWith(reader, part)
      : null,
    namesMayLack: filter.name === undefined,
    terms: termsOf(reader, wanted),
    trace: 0,
  };
  const { minDuration, maxDuration } = plan;
  return {
    plan,
    exact: wanted.length === 0 && !byName,
    matches: (row) => {
      if (!(row.duration >= minDuration && row.duration <= maxDuration)) return false;
      const bits = row.kind | (row.status << META_STATUS_SHIFT) |
        (row.interrupted === 0 ? 0 : META_INTERRUPTED) | (row.parent === null ? META_ROOT : 0);
      if ((bits & mask) !== meta) return false;
      if (plan.origins !== null && !plan.origins.has(row.origin)) return false;
      const ms = milliseconds(BigInt(row.start));
      if (!(ms >= plan.from && ms < plan.to)) return false;
      if (filter.name !== undefined && nameOf(row) !== filter.name) return false;
      if (part !== undefined && !nameOf(row).toLowerCase().includes(part)) return false;
      if (wanted.length === 0) return true;
      const own = toAttributes(decodeRest(row)?.attributes ?? []);
      return wanted.every((each, i) =>
        plan.terms[i].origins?.has(row.origin) === true || isAmong(each, own)
      );
    },
  };
}

/** Hashes and origins that have what is wanted. */
export function termsOf(reader: Reader, wanted: readonly Wanted[]): PlanTerm[] {
  return wanted.map((each) => {
    const origins = new Set<number>();
    for (const { id, resource, scope } of originsOf(reader).values()) {
      if (
        isAmong(each, resourceOf(reader, resource).attributes) ||
        isAmong(each, scopeOf(reader, scope).attributes)
      ) origins.add(id);
    }
    return { hash: each.hash, origins: origins.size === 0 ? null : origins };
  });
}

/** Origins of these services; null for all. */
export function originsOfServices(
  reader: Reader,
  services: readonly string[] | undefined,
): Set<number> | null {
  if (services === undefined || services.length === 0) return null;
  const wanted = new Set(services);
  const origins = new Set<number>();
  for (const { id, service } of originsOf(reader).values()) {
    if (wanted.has(service)) origins.add(id);
  }
  return origins;
}

/** What the attributes are, checked. */
export function wantedOf(attributes: readonly AttributeFilter[] | undefined): Wanted[] {
  return (attributes ?? []).map(toWanted);
}

function namesWith(reader: Reader, part: string): Set<number> {
  const hashes = new Set<number>();
  for (const name of allNames(reader)) {
    if (name.name.toLowerCase().includes(part)) hashes.add(hashBytes(Buffer.from(name.name)));
  }
  return hashes;
}

/** The names that windows list, with the origin that has them. */
export function* allNames(reader: Reader): Iterable<{ origin: number; name: string }> {
  yield* reader.tails.span.names.values();
  const rows = reader.db.prepare("SELECT DISTINCT names FROM span_windows").all() as {
    names: string;
  }[];
  for (const { names } of rows) {
    for (const [origin, name] of JSON.parse(names) as [number, string][]) yield { origin, name };
  }
}

function numberOf(what: string, names: readonly string[], name: string): number {
  const number = names.indexOf(name);
  if (number < 0) throw new InvalidQuery(`${what} is none of ${names.join(", ")}: ${name}`);
  return number;
}

/** Rows of a page. @throws InvalidQuery when it asks for none or too many. */
export function limitOf({ limit = 50 }: Page = {}): number {
  if (!Number.isInteger(limit) || limit < 1 || limit > 1_000) {
    throw new InvalidQuery(`the limit of a page is 1 to 1000: ${limit}`);
  }
  return limit;
}

/** The row before which a page begins. @throws InvalidQuery when the cursor is none of ours. */
export function cursorOf({ cursor }: Page = {}): number {
  if (cursor === undefined) return Infinity;
  if (!/^\d{1,15}$/.test(cursor)) throw new InvalidQuery(`this is no cursor of a page: ${cursor}`);
  return Number(cursor);
}

/** An id's bytes. @throws InvalidQuery when it is not hex, or of another size. */
export function idBytes(id: string, size: number, what: string): Uint8Array {
  if (id.length !== size * 2 || !/^[0-9a-fA-F]*$/.test(id)) {
    throw new InvalidQuery(`a ${what} id has ${size * 2} hexadecimal digits: ${id.slice(0, 64)}`);
  }
  return Buffer.from(id, "hex");
}
