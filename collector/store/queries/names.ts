/**
 * What there is to choose from: services, names, keys, resources; and what the store holds.
 *
 * @module
 */
import { originsOf, type Reader, resourceOf } from "../read/reader.ts";
import { allNames } from "./filter.ts";
import type { Resource, StoreState } from "./types.ts";

/** Names and keys in one answer. */
const MAX_NAMES = 1_000;

/** See {@linkcode StoreQueries}. */
export function services(reader: Reader): string[] {
  const origins = originsOf(reader);
  return sorted(usedOrigins(reader), (id) => origins.get(id)?.service ?? "");
}

/** See {@linkcode StoreQueries}. */
export function resources(reader: Reader): Resource[] {
  const origins = originsOf(reader);
  const ids = new Set<number>();
  for (const id of usedOrigins(reader)) {
    const origin = origins.get(id);
    if (origin !== undefined) ids.add(origin.resource);
  }
  return [...ids].sort((a, b) => b - a).map((id) => resourceOf(reader, id));
}

function usedOrigins({ db, tails }: Reader): Set<number> {
  const used = new Set<number>();
  for (const kind of ["span", "log"] as const) {
    const rows = db.prepare(`SELECT DISTINCT origins FROM ${kind}_windows`).all();
    for (const { origins } of rows as { origins: Uint8Array }[]) {
      const view = new DataView(origins.buffer, origins.byteOffset, origins.byteLength);
      for (let at = 0; at < origins.length; at += 4) used.add(view.getUint32(at, true));
    }
    const tail = tails[kind];
    for (let i = 0; i < tail.count; i++) used.add(tail.origin[i]);
  }
  const streams = db.prepare("SELECT DISTINCT origin FROM streams").all();
  for (const { origin } of streams as { origin: number }[]) used.add(origin);
  return used;
}

/** See {@linkcode StoreQueries}. */
export function spanNames(reader: Reader, service?: string): string[] {
  const origins = originsOf(reader);
  const names = new Set<string>();
  for (const { origin, name } of allNames(reader)) {
    if (service === undefined || origins.get(origin)?.service === service) names.add(name);
  }
  return sorted(names, (name) => name).slice(0, MAX_NAMES);
}

/** See {@linkcode StoreQueries}. */
export function attributeKeys(reader: Reader): string[] {
  const keys = new Set<string>();
  for (const kind of ["span", "log"] as const) {
    const rows = reader.db.prepare(`SELECT DISTINCT keys FROM ${kind}_windows`).all();
    for (const row of rows as { keys: string }[]) {
      for (const key of JSON.parse(row.keys) as string[]) keys.add(key);
    }
    for (const key of reader.tails[kind].keys.values()) keys.add(key);
  }
  for (const { attributes } of resources(reader)) for (const { key } of attributes) keys.add(key);
  return sorted(keys, (key) => key).slice(0, MAX_NAMES);
}

function sorted<T>(items: Iterable<T>, text: (item: T) => string): string[] {
  return [...new Set([...items].map(text))].sort();
}

/** See {@linkcode StoreQueries}. */
export function state(reader: Reader): StoreState {
  const { db, path, tails, windows } = reader;
  const pragma = (name: string): number =>
    Number(Object.values(db.prepare(`PRAGMA ${name}`).get() as object)[0]);
  const count = (kind: "span" | "log"): number =>
    windows[kind].reduce((sum, { count }) => sum + count, tails[kind].count);
  const last = (kind: "span" | "log"): number =>
    count(kind) === 0 ? -1 : tails[kind].first + tails[kind].count - 1;
  const points = db.prepare("SELECT min(id) AS low, max(id) AS high FROM points").get() as {
    low: number | null;
    high: number | null;
  };
  return {
    path,
    bytes: (pragma("page_count") - pragma("freelist_count")) * pragma("page_size"),
    spans: count("span"),
    logs: count("log"),
    points: points.low === null ? 0 : points.high! - points.low + 1,
    lastSpan: last("span"),
    lastLog: last("log"),
  };
}
