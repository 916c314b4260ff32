/**
 * Marks: which of all the requests that were ever made of a signal is stored. A mark is the journal's
 * id and the number of items up to the end of the request, which says the same in every replay.
 *
 * @module
 */
import { ID_BYTES } from "./format.ts";

/** Makes the mark of a request. `items` counts up to its end. */
export function makeMark(id: Uint8Array, items: number): Uint8Array {
  const mark = new Uint8Array(ID_BYTES + 8);
  mark.set(id);
  new DataView(mark.buffer).setFloat64(ID_BYTES, items, true);
  return mark;
}

/** The items that a mark of this journal stands for; 0 for any other, and for none. */
export function itemsOf(id: Uint8Array, mark: Uint8Array | null): number {
  if (mark === null || mark.length !== ID_BYTES + 8) return 0;
  for (let i = 0; i < ID_BYTES; i++) if (mark[i] !== id[i]) return 0;
  return new DataView(mark.buffer, mark.byteOffset).getFloat64(ID_BYTES, true);
}
