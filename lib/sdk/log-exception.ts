/**
 * The exception of a log record as attributes ("Recording exceptions" of the log semantic
 * conventions).
 *
 * @module
 */
import type { Attributes } from "@opentelemetry/api";
import {
  ATTR_EXCEPTION_MESSAGE,
  ATTR_EXCEPTION_STACKTRACE,
  ATTR_EXCEPTION_TYPE,
} from "@opentelemetry/semantic-conventions";

/** Stands for a value whose getter threw; left out and counted like any other symbol. */
const UNREADABLE: unique symbol = Symbol("unreadable");

/** A copy of attributes of which the originals may throw when read. */
export function copyAttributes(attributes: Readonly<Record<string, unknown>>): Attributes {
  const copy: Attributes = Object.create(null);
  try {
    for (const key of Object.keys(attributes)) {
      try {
        copy[key] = attributes[key];
      } catch {
        copy[key] = UNREADABLE;
      }
    }
  } catch {
    // A proxy that does not even say its keys.
  }
  return copy;
}

/**
 * Adds `exception.type`, `.message` and `.stacktrace` to `attributes`, but for those that are there
 * already. Nothing of the exception is trusted: what can't be read is left out.
 */
export function addException(attributes: Attributes, exception: unknown): void {
  if (typeof exception !== "object" || exception === null) {
    add(attributes, ATTR_EXCEPTION_MESSAGE, exception);
    return;
  }
  add(attributes, ATTR_EXCEPTION_TYPE, read(exception, "code") || read(exception, "name"));
  add(attributes, ATTR_EXCEPTION_MESSAGE, read(exception, "message"));
  add(attributes, ATTR_EXCEPTION_STACKTRACE, read(exception, "stack"));
}

function read(exception: object, key: string): unknown {
  try {
    return (exception as Record<string, unknown>)[key];
  } catch {
    return undefined;
  }
}

function add(attributes: Attributes, key: string, value: unknown): void {
  // Falsy like an error's empty message: says nothing.
  if (value === undefined || value === null || value === "" || Object.hasOwn(attributes, key)) {
    return;
  }
  try {
    attributes[key] = String(value);
  } catch {
    // An object without a text.
  }
}
