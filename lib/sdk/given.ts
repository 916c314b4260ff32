/**
 * What a program gives as an option of another kind than asked for is said, and is as if it had not been given.
 *
 * @module
 */
import { asText } from "./span.ts";

/** Kinds of options, by what a warning calls them. */
const KINDS = {
  "an object": isObject,
  // A class with static methods is one, too.
  "an object with methods": (given: unknown) => isObject(given) || typeof given === "function",
  "a function": (given: unknown) => typeof given === "function",
  "a list": Array.isArray,
  "text": (given: unknown) => typeof given === "string",
} as const;

function isObject(given: unknown): boolean {
  return typeof given === "object" && !Array.isArray(given);
}

/**
 * What was given, if it is of that kind. Null is nothing, without a word.
 *
 * @param option Its name as in `start({ name })`; empty for all options together.
 */
export function givenAs<T>(
  option: string,
  given: T | null | undefined,
  kind: keyof typeof KINDS,
  warn: (message: string) => void,
): T | undefined {
  if (given === undefined || given === null) return undefined;
  if (KINDS[kind](given)) return given;
  const text = typeof given === "string"
    ? JSON.stringify(given)
    : typeof given === "function"
    ? "a function"
    : asText(given);
  warn(`start(${option === "" ? text : `{ ${option}: ${text} }`}): not ${kind}; ignored`);
  return undefined;
}
