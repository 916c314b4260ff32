/**
 * Which listeners and error handlers are wrapped. Wrappers meet where the explicit ones are used
 * beside the patched globals: the one nearest to the listener counts, because its options were given
 * for that listener.
 *
 * @module
 */

const wrapped = new WeakSet<object>();

/** Notes that a function is a wrapper, and gives it back. */
// deno-lint-ignore ban-types
export function markWrapped<Wrapper extends Function>(wrapper: Wrapper): Wrapper {
  wrapped.add(wrapper);
  return wrapper;
}

/** Whether a function is a wrapper. */
// deno-lint-ignore ban-types
export function isWrapped(candidate: Function): boolean {
  return wrapped.has(candidate);
}
