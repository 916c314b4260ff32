/**
 * Attribute values as text, and attribute conditions from text.
 *
 * @module
 */
import type { Attribute, Value } from "../../../store/queries/types.ts";

/** A value as JSON has it, as far as JSON has it. */
export function plain(value: Value): unknown {
  if (value.stringValue !== undefined) return value.stringValue;
  if (value.boolValue !== undefined) return value.boolValue;
  if (value.intValue !== undefined) {
    const int = Number(value.intValue);
    return Number.isSafeInteger(int) ? int : value.intValue;
  }
  if (value.doubleValue !== undefined) return value.doubleValue;
  if (value.bytesValue !== undefined) return `base64:${value.bytesValue}`;
  if (value.arrayValue) return value.arrayValue.values.map(plain);
  if (value.kvlistValue) {
    return Object.fromEntries(
      value.kvlistValue.values.map(({ key, value }) => [key, plain(value)]),
    );
  }
  return null;
}

/** A value for people: text without quotes, everything else as JSON. */
export function valueText(value: Value): string {
  if (value.stringValue !== undefined) return value.stringValue;
  if (value.intValue !== undefined) return value.intValue;
  const it = plain(value);
  return typeof it === "string" ? it : it === null ? "" : JSON.stringify(it, null, 1);
}

/** The kind of a value in a word, "" for text. */
export function valueType(value: Value): string {
  if (value.boolValue !== undefined) return "bool";
  if (value.intValue !== undefined) return "int";
  if (value.doubleValue !== undefined) return "double";
  if (value.bytesValue !== undefined) return "bytes";
  if (value.arrayValue) return "array";
  if (value.kvlistValue) return "map";
  return value.stringValue === undefined ? "empty" : "";
}

/** The text of one attribute, "" where there is none. */
export function attribute(attributes: readonly Attribute[], key: string): string {
  const found = attributes.find((attribute) => attribute.key === key);
  return found ? valueText(found.value) : "";
}

/** Attributes on one line: `a=1 b=two`. */
export function attributesText(attributes: readonly Attribute[]): string {
  return attributes.map(({ key, value }) => `${key}=${valueText(value)}`).join(" ");
}

/**
 * `key=value` as typed, in the form the API takes: the value as JSON. What is no JSON is taken as text,
 * so that quotes are needed only for text that looks like a number or a truth value. Undefined
 * without a key.
 */
export function attributeCondition(typed: string): string | undefined {
  const at = typed.indexOf("=");
  const key = typed.slice(0, at).trim();
  if (at < 0 || key === "") return undefined;
  const value = typed.slice(at + 1).trim();
  try {
    JSON.parse(value);
    return `${key}=${value}`;
  } catch {
    return `${key}=${JSON.stringify(value)}`;
  }
}

/** The condition that finds an attribute; undefined for values that can't be asked for so. */
export function conditionFor({ key, value }: Attribute): string | undefined {
  if (value.stringValue !== undefined) return `${key}=${JSON.stringify(value.stringValue)}`;
  if (value.boolValue !== undefined) return `${key}=${value.boolValue}`;
  if (value.intValue !== undefined) return `${key}=${value.intValue}`;
  if (typeof value.doubleValue === "number" && !Number.isInteger(value.doubleValue)) {
    return `${key}=${value.doubleValue}`;
  }
  return undefined;
}
