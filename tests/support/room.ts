/**
 * Programs that record as fast as they are read, so that nothing is refused.
 *
 * @module
 */
import { Mapping } from "../../ffi/mod.ts";
import {
  HEADER_RINGS,
  RING_NUM_BUFFERS,
  RING_READER_INDEX,
  RING_WRITER_INDEX,
} from "../../lib/format/layout.ts";

/**
 * Asks whether every ring of a file has room for so many records.
 *
 * @param path The file that is written now.
 */
export function watchRoom(path: () => string, records: number): () => boolean {
  let file = Mapping.open(path());
  return () => {
    if (file.path !== path()) {
      file.close();
      file = Mapping.open(path());
    }
    return HEADER_RINGS.every((word) => {
      const ring = Number(file.i64[word >> 3]);
      const slots = Number(file.i64[(ring + RING_NUM_BUFFERS) >> 3]);
      const claimed = Atomics.load(file.i32, (ring + RING_WRITER_INDEX) >> 2);
      const read = Atomics.load(file.i32, (ring + RING_READER_INDEX) >> 2);
      return slots - ((claimed - read) | 0) > records;
    });
  };
}
