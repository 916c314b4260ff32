/**
 * A file mapped for reading (and for the few words that belong to readers), which may become longer
 * while it is mapped.
 *
 * @module
 */
import { Mapping } from "../../ffi/mod.ts";
import type { GrowingFile } from "../dictionary/read.ts";
import type { FileViews } from "../ring/write.ts";

/** Address space kept for growth, so that a dictionary rarely needs another mapping. Bytes. */
export const GROWTH_RESERVE_BYTES = 64 << 20;
/** Of it, what is viewed from the beginning: most dictionaries never have more. Bytes. */
const GROWTH_BYTES = 64 << 10;

/** An existing file, mapped. */
export class MappedFile implements FileViews, GrowingFile {
  /** The first mapping, whose views have the header and the rings. */
  readonly mapping: Mapping;
  private larger: Mapping | null = null;

  private readonly follow: boolean;

  private constructor(mapping: Mapping, follow: boolean) {
    this.mapping = mapping;
    this.follow = follow;
  }

  /** Maps a file; `follow: false` refuses a symbolic link (ELOOP). Throws SystemError. */
  static open(path: string, { follow = true }: { follow?: boolean } = {}): MappedFile {
    const options = {
      reserve: GROWTH_RESERVE_BYTES,
      growth: GROWTH_BYTES,
      follow,
      guarded: true,
    };
    return new MappedFile(Mapping.open(path, options), follow);
  }

  get u8(): Uint8Array<ArrayBuffer> {
    return this.mapping.u8;
  }
  get i32(): Int32Array<ArrayBuffer> {
    return this.mapping.i32;
  }
  get i64(): BigInt64Array<ArrayBuffer> {
    return this.mapping.i64;
  }

  /** The file's length in bytes, as last looked at. */
  get size(): number {
    return this.mapping.size;
  }

  /**
   * The file's bytes up to at least `end`; null where it is shorter. What this returned before may be
   * empty afterwards.
   */
  reach(end: number): Uint8Array | null {
    const { mapping } = this;
    if (end > mapping.size && end > mapping.refresh()) return null;
    const reached = mapping.reach(end);
    if (reached !== null) return reached;
    if (this.larger === null || end > this.larger.reserve) {
      // Only through its path can it be mapped again: no use when that names another file by now.
      if (!mapping.isAtPath()) return null;
      this.larger?.close();
      const { follow } = this;
      this.larger = Mapping.open(mapping.path, {
        reserve: mapping.size * 2,
        follow,
        guarded: true,
      });
    }
    return this.larger.u8;
  }

  /** Something was read or stored where the file had become shorter: what is here is worth nothing. */
  get faulted(): boolean {
    return this.mapping.faults > 0 || (this.larger !== null && this.larger.faults > 0);
  }

  /** Unmaps. Late reads through the views find nothing. */
  close(): void {
    this.larger?.close();
    this.mapping.close();
  }
}
