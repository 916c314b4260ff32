/**
 * Copies that Deno's HTTP/2 makes of what is sent. They are freed when the stream is collected, which V8 sees no
 * reason for, as it knows nothing of them: where large files are mapped, they grew beyond 1 GB.
 *
 * @module
 */

/** As much memory that V8 does know of, for each of the last requests. */
const known: ArrayBuffer[] = [];
/** Requests by which it outlives the collections of young memory, which leave streams alone. */
const KEPT = 32;
let turn = 0;

/** A request of so many bytes is sent: lets V8 collect as often as it would if it knew. */
export function noteSent(bytes: number): void {
  if ("Deno" in globalThis) known[turn++ % KEPT] = new ArrayBuffer(bytes);
}
