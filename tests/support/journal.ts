/**
 * What a program says of itself while it may be killed at any moment: two words in a mapping that is
 * not the one under test. Memory shared with a process outlives it.
 *
 * @module
 */
import { writeFileSync } from "node:fs";
import { Mapping } from "../../ffi/mod.ts";

const ENTERED = 0;
/** On another cache line. */
const RETURNED = 16;

/** How many calls were entered and how many of them returned. */
export class Journal {
  private readonly mapping: Mapping;
  private readonly words: Int32Array;

  private constructor(path: string) {
    this.mapping = Mapping.open(path);
    this.words = this.mapping.i32;
  }

  /** Makes one where there is none yet. */
  static create(path: string): Journal {
    writeFileSync(path, new Uint8Array(4096));
    return new Journal(path);
  }

  /** Opens the one that another process made. */
  static open(path: string): Journal {
    return new Journal(path);
  }

  /** Calls that were entered: one more than the number of the last one. */
  get entered(): number {
    return Atomics.load(this.words, ENTERED);
  }

  /** Calls that returned. */
  get returned(): number {
    return Atomics.load(this.words, RETURNED);
  }

  /** Notes that a call begins. */
  entering(call: number): void {
    Atomics.store(this.words, ENTERED, call + 1);
  }

  /** Notes that a call has returned. */
  returnedFrom(call: number): void {
    Atomics.store(this.words, RETURNED, call + 1);
  }

  close(): void {
    this.mapping.close();
  }
}
