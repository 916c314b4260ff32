/**
 * Saved state as bytes: what it is, its version and its length, then numbers, bytes and whole typed
 * arrays, little endian. Whoever reads them back trusts nothing: every length is held against what is
 * there, so that nothing is allocated for bytes that are not.
 *
 * @module
 */
import { Buffer } from "node:buffer";

/** Magic, version, and the length of everything. */
const HEADER_BYTES = 4 + 4 + 8;
const INITIAL_BYTES = 64 << 10;

/** What a state is, in its first words. */
export interface StateKind {
  /** Four ASCII characters. */
  readonly magic: string;
  /** Raised whenever the same bytes would mean something else. */
  readonly version: number;
  /** What it is the state of, for messages. */
  readonly name: string;
}

/** Arrays that can be written whole. */
type Words = Int32Array | Float64Array | Uint8Array;

/** Writes a state. */
export class StateWriter {
  /** All bytes; replaced when they grow. */
  u8: Uint8Array<ArrayBuffer> = new Uint8Array(INITIAL_BYTES);
  /** Bytes written. */
  at: number = HEADER_BYTES;

  private view = new DataView(this.u8.buffer);

  /** @param kind What is written. */
  constructor({ magic, version }: StateKind) {
    for (let i = 0; i < 4; i++) this.u8[i] = magic.charCodeAt(i);
    this.view.setUint32(4, version, true);
  }

  /** Makes room for `bytes` more, which the caller writes to `u8`; where they begin. */
  room(bytes: number): number {
    const at = this.at;
    if (at + bytes > this.u8.length) {
      const larger = new Uint8Array(Math.max(at + bytes, this.u8.length * 2));
      larger.set(this.u8.subarray(0, at));
      this.u8 = larger;
      this.view = new DataView(larger.buffer);
    }
    this.at = at + bytes;
    return at;
  }

  /** A number of 32 bits, signed or not. */
  word(value: number): void {
    const at = this.room(4);
    this.view.setInt32(at, value, true);
  }

  /** A number. */
  double(value: number): void {
    const at = this.room(8);
    this.view.setFloat64(at, value, true);
  }

  /** The first `length` elements of an array, behind their number. */
  array(values: Words, length: number = values.length): void {
    this.word(length);
    const bytes = length * values.BYTES_PER_ELEMENT;
    const at = this.room(bytes);
    this.u8.set(new Uint8Array(values.buffer, values.byteOffset, bytes), at);
  }

  /** Text. */
  text(value: string): void {
    this.array(Buffer.from(value));
  }

  /** All that was written: part of a buffer that is not used again. */
  finish(): Uint8Array<ArrayBuffer> {
    this.view.setFloat64(8, this.at, true);
    return this.u8.subarray(0, this.at);
  }
}

/** Reads a state. Everything throws an Error where the bytes are not what they should be. */
export class StateReader {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly name: string;
  private at = HEADER_BYTES;

  /**
   * @param bytes What {@linkcode StateWriter.finish} returned.
   * @param kind What it must be.
   */
  constructor(bytes: Uint8Array, { magic, version, name }: StateKind) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.name = name;
    if (
      bytes.length < HEADER_BYTES ||
      Buffer.from(bytes.subarray(0, 4)).toString("latin1") !== magic
    ) throw new Error(`these ${bytes.length} bytes are no saved state of ${name}`);
    const found = this.view.getUint32(4, true);
    if (found !== version) {
      throw new Error(
        `the saved state of ${name} has version ${found}; this program reads version ${version}`,
      );
    }
    const length = this.view.getFloat64(8, true);
    if (length !== bytes.length) this.fail(`it says ${length} bytes and has ${bytes.length}`);
  }

  /** Throws. @param what What is wrong. */
  fail(what: string): never {
    throw new Error(`the saved state of ${this.name} is damaged: ${what}`);
  }

  /** A number of 32 bits, signed. */
  word(): number {
    return this.view.getInt32(this.take(4), true);
  }

  /** A whole number from `first` up to and without `end`. */
  wordWithin(first: number, end: number): number {
    const value = this.word();
    if (value < first || value >= end) {
      this.fail(`${value} at byte ${this.at - 4} is not from ${first} to ${end - 1}`);
    }
    return value;
  }

  /** How many things follow that take `bytes` bytes or more each. */
  count(bytes: number): number {
    const value = this.word() >>> 0;
    if (value * bytes > this.bytes.length - this.at) {
      this.fail(`${value} at byte ${this.at - 4} is more than what follows`);
    }
    return value;
  }

  /** A number. */
  double(): number {
    return this.view.getFloat64(this.take(8), true);
  }

  /** A number that counts something. */
  counter(): number {
    const value = this.double();
    if (!(Number.isSafeInteger(value) && value >= 0)) {
      this.fail(`${value} at byte ${this.at - 8} counts nothing`);
    }
    return value;
  }

  /** A number from 0 up to 2^53 in groups of seven bits. */
  varint(): number {
    let value = 0;
    for (let unit = 1; unit <= 2 ** 49; unit *= 128) {
      const byte = this.bytes[this.take(1)];
      value += (byte & 0x7f) * unit;
      if (byte < 0x80) return value;
    }
    this.fail(`a number at byte ${this.at} does not end`);
  }

  /** A copy of an array's bytes. */
  array(): Uint8Array<ArrayBuffer> {
    const length = this.count(1);
    const at = this.take(length);
    return new Uint8Array(this.bytes.subarray(at, at + length));
  }

  /** A copy of an array of words. */
  words(): Int32Array<ArrayBuffer> {
    return new Int32Array(this.elements(4));
  }

  /** A copy of an array of doubles. */
  doubles(): Float64Array<ArrayBuffer> {
    return new Float64Array(this.elements(8));
  }

  /** Text. */
  text(): string {
    const length = this.count(1);
    const at = this.take(length);
    return Buffer.from(this.bytes.subarray(at, at + length)).toString();
  }

  /** Throws where something was not read. */
  end(): void {
    const rest = this.bytes.length - this.at;
    if (rest !== 0) this.fail(`${rest} bytes behind its end`);
  }

  private elements(size: number): ArrayBuffer {
    const bytes = size * this.count(size);
    const at = this.take(bytes);
    const buffer = new ArrayBuffer(bytes);
    new Uint8Array(buffer).set(this.bytes.subarray(at, at + bytes));
    return buffer;
  }

  private take(bytes: number): number {
    const at = this.at;
    if (at + bytes > this.bytes.length) this.fail(`it ends at byte ${this.bytes.length}`);
    this.at = at + bytes;
    return at;
  }
}
