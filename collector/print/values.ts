/**
 * Parts of printed lines: times, ids, values, attributes.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { AnyValue, KeyValue } from "../../proto/gen/otlp_pb.ts";
import { plural, quoted, word } from "../text/text.ts";

/** How lines look. */
export interface PrintStyle {
  /** With ANSI colours. */
  readonly color: boolean;
}

export const RED = "31";
export const GREEN = "32";
export const YELLOW = "33";
export const CYAN = "36";
export const DIM = "2";
export const BOLD = "1";

/** Text of a value is cut after this many UTF-16 units. */
export const MAX_VALUE = 120;
/** Elements of an array or list that are shown. */
const MAX_ELEMENTS = 16;
const MAX_DEPTH = 4;
const MAX_ATTRIBUTES = 64;

/** The text in a colour, where colours are wanted. */
export function paint(style: PrintStyle, code: string, text: string): string {
  return style.color ? `\x1b[${code}m${text}\x1b[0m` : text;
}

/** `2026-11-21T09:30:00.123456Z`; "-" when there is no time. */
export function formatTime(ns: bigint): string {
  if (ns === 0n) return "-";
  const ms = Number(ns / 1_000_000n);
  // Every time of 64 bits is within what Date can hold.
  const micros = String((ns / 1000n) % 1000n).padStart(3, "0");
  return new Date(ms).toISOString().replace("Z", `${micros}Z`);
}

/** Ids as hex digits; "-" for none. */
export function hex(bytes: Uint8Array): string {
  return bytes.length === 0 ? "-" : Buffer.from(bytes).subarray(0, 16).toString("hex");
}

/** A value as text; integers and doubles look different. */
export function formatValue(any: AnyValue | undefined, depth = 0): string {
  const held = any?.value;
  switch (held?.case) {
    case undefined:
      return "null";
    case "stringValue":
      return quoted(held.value, MAX_VALUE);
    case "bytesValue": {
      const shown = Buffer.from(held.value).subarray(0, MAX_VALUE / 2).toString("hex");
      return `0x${shown}${held.value.length > MAX_VALUE / 2 ? "…" : ""}`;
    }
    case "doubleValue":
      // So that 1 and 1.0, which are different types, look different.
      return Number.isInteger(held.value) && Math.abs(held.value) < 1e21
        ? `${Object.is(held.value, -0) ? "-0" : held.value}.0`
        : String(held.value);
    case "arrayValue": {
      const { values } = held.value;
      if (depth >= MAX_DEPTH) return "[…]";
      const shown = values.slice(0, MAX_ELEMENTS).map((value) => formatValue(value, depth + 1));
      return `[${shown.join(",")}${values.length > MAX_ELEMENTS ? ",…" : ""}]`;
    }
    case "kvlistValue": {
      const { values } = held.value;
      if (depth >= MAX_DEPTH) return "{…}";
      const shown = values.slice(0, MAX_ELEMENTS).map((pair) => formatPair(pair, depth + 1));
      return `{${shown.join(",")}${values.length > MAX_ELEMENTS ? ",…" : ""}}`;
    }
    default:
      return String(held?.value);
  }
}

function formatPair(pair: KeyValue, depth: number): string {
  return `${word(pair.key, MAX_VALUE)}=${formatValue(pair.value, depth)}`;
}

/** Attributes as `key=value`, with a count of those that are not shown. */
export function formatAttributes(pairs: readonly KeyValue[], dropped: number): string {
  const shown = pairs.slice(0, MAX_ATTRIBUTES).map((pair) => formatPair(pair, 0)).join(" ");
  const more = pairs.length - Math.min(pairs.length, MAX_ATTRIBUTES) + dropped;
  return more === 0 ? shown : `${shown} (${plural(more, "attribute")} not shown)`;
}

/** `service.name` of a resource; "-" when there is none. */
export function serviceName(attributes: readonly KeyValue[] | undefined): string {
  const value = attributes?.find((pair) => pair.key === "service.name")?.value?.value;
  return value?.case === "stringValue" ? word(value.value, MAX_VALUE) : "-";
}
