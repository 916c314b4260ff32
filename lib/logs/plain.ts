/**
 * Values of a program as attribute values: SDKs leave out what OpenTelemetry has no type for, such
 * as dates and errors, and loggers are given all of them.
 *
 * @module
 */

/** Lists inside each other are followed this far: also the end of a value inside itself. */
const MAX_DEPTH = 8;

/**
 * `value` as strings, numbers, booleans, null, byte arrays, arrays and plain objects; undefined for
 * what has no such form. Objects that have a `toJSON` are what it says, as in JSON.
 */
export function plain(value: unknown, depth: number = 0): unknown {
  if (typeof value !== "object" || value === null) {
    return typeof value === "bigint"
      ? String(value)
      : typeof value === "function" || typeof value === "symbol"
      ? undefined
      : value;
  }
  if (depth > MAX_DEPTH) return undefined;
  try {
    return plainObject(value, depth);
  } catch {
    // A getter or proxy that throws.
    return undefined;
  }
}

function plainObject(value: object, depth: number): unknown {
  if (value instanceof Uint8Array) return value;
  if (value instanceof Error) return value.stack ?? String(value);
  const { toJSON } = value as { toJSON?: unknown };
  if (typeof toJSON === "function") return plain(toJSON.call(value), depth + 1);
  if (value instanceof Map) return plain(Object.fromEntries(value), depth + 1);
  if (value instanceof Set) return plain([...value], depth + 1);
  if (Array.isArray(value)) return value.map((item) => plain(item, depth + 1) ?? null);
  const copy: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value)) {
    const form = plain(item, depth + 1);
    if (form === undefined) continue;
    // Defined, not assigned: "__proto__" is a key like any other.
    Object.defineProperty(copy, key, {
      value: form,
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return copy;
}
