/**
 * Random bytes, without `node:crypto`: that takes 12 ms of a core to load on Bun.
 *
 * @module
 */

/** So many bytes that nobody can guess. */
export function randomBytes(count: number): Uint8Array<ArrayBuffer> {
  return crypto.getRandomValues(new Uint8Array(count));
}
