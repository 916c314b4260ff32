/**
 * Options as a plain object, with what they have on their prototypes: getters of a class, what they inherit.
 * Runtimes read that too, and a spread leaves it out.
 *
 * @module
 */

/** A copy that may be changed. Nothing of nothing. */
export function flat<Options extends object>(options: Options | null | undefined): Options {
  const copy: Record<PropertyKey, unknown> = {};
  let from: object | null = Object(options ?? {}) as object;
  while (from !== null && !BUILT_IN.has(from)) {
    for (const key of Reflect.ownKeys(from)) {
      // What inherits hides what it inherits. Read of the options themselves: getters may need them.
      if (key === "constructor" || key in copy) continue;
      copy[key] = (options as Record<PropertyKey, unknown>)[key];
    }
    from = Object.getPrototypeOf(from);
  }
  return copy as Options;
}

/** Where what is everybody's begins. */
const BUILT_IN: ReadonlySet<object> = new Set([Object.prototype, Function.prototype]);
