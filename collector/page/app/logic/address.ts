/**
 * The state of the page, which is all in its address after `#`: `#/traces?service=shop&status=error`.
 *
 * @module
 */

/** Where the page is, and what it was asked for. */
export interface Address {
  /** The parts of the path, decoded. Empty for the overview. */
  readonly path: readonly string[];
  /** Every value of a name, in order. */
  readonly query: Readonly<Record<string, readonly string[]>>;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // A lone %: what somebody typed.
  }
}

/** The address in a location's hash; anything can be parsed. */
export function parseAddress(hash: string): Address {
  const text = hash.replace(/^#/, "");
  const at = text.indexOf("?");
  const path = (at < 0 ? text : text.slice(0, at)).split("/").filter((part) => part !== "");
  const query: Record<string, string[]> = Object.create(null);
  for (const [name, value] of new URLSearchParams(at < 0 ? "" : text.slice(at + 1))) {
    (query[name] ??= []).push(value);
  }
  return { path: path.map(decode), query };
}

/** What can be given as the value of a name; "" and undefined leave the name out. */
export type QueryValue = string | number | boolean | undefined | readonly string[];

/** Names and values as a query, without the question mark. */
export function formatQuery(query: Readonly<Record<string, QueryValue>>): string {
  const out = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== "" && one !== false) out.append(name, String(one));
    }
  }
  return out.toString();
}

/** The hash of an address. */
export function formatAddress(
  path: readonly string[],
  query: Readonly<Record<string, QueryValue>> = {},
): string {
  const text = formatQuery(query);
  return `#/${path.map(encodeURIComponent).join("/")}${text === "" ? "" : `?${text}`}`;
}

/** The first value of a name, "" where there is none. */
export function first(address: Address, name: string): string {
  return address.query[name]?.[0] ?? "";
}

/** Lengths of time that end now, by the name they have in the address. */
export const LASTS: Readonly<Record<string, { readonly ms: number; readonly label: string }>> = {
  "5m": { ms: 300_000, label: "Last 5 minutes" },
  "15m": { ms: 900_000, label: "Last 15 minutes" },
  "1h": { ms: 3_600_000, label: "Last hour" },
  "6h": { ms: 21_600_000, label: "Last 6 hours" },
  "24h": { ms: 86_400_000, label: "Last 24 hours" },
  "7d": { ms: 604_800_000, label: "Last 7 days" },
};
/** The length of time without any in the address. */
export const DEFAULT_LAST = "1h";

/** A stretch of time as the address says it. */
export interface Range {
  readonly fromMs: number;
  readonly toMs: number;
  /** A name in {@linkcode LASTS}, or "" for a stretch that does not move. */
  readonly last: string;
}

/** The stretch of time an address asks for, at a time of day. */
export function rangeOf(address: Address, now: number): Range {
  const from = Number(first(address, "from"));
  const to = Number(first(address, "to"));
  if (from > 0 && to > from) return { fromMs: from, toMs: to, last: "" };
  const asked = first(address, "last");
  const last = Object.hasOwn(LASTS, asked) ? asked : DEFAULT_LAST;
  return { fromMs: now - LASTS[last]!.ms, toMs: now, last };
}

/** What of an address says the time: kept when going to another view. */
export function timeQuery(address: Address): Record<string, string> {
  const out: Record<string, string> = {};
  for (const name of ["from", "to", "last"]) {
    const value = first(address, name);
    if (value !== "") out[name] = value;
  }
  return out;
}
