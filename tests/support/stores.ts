/**
 * Every step of this process that another one can see: stores into mapped files, and the system calls
 * that make, lock, name and remove them. A test counts them and ends, stops or blocks the process
 * right after one.
 *
 * The code under test is the one that ships: this module stands in for what is around it, the typed
 * arrays of a mapping, `Atomics`, `TextEncoder` and the table of C functions. So there is no hook in
 * the code that could be forgotten at a store or cost anything, and a store that nobody has thought of
 * shows up under its name all the same. Import it before anything maps a file.
 *
 * @module
 */
import process from "node:process";
import { libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mod.ts";
import * as layout from "../../lib/format/layout.ts";

/** Called right after each step, with its name and that of the file. */
export type OnStep = (name: string, path: string) => void;

type Memory = Uint8Array<ArrayBuffer> | Int32Array<ArrayBuffer> | BigInt64Array<ArrayBuffer>;

/** What is known of the memory of a mapping. */
interface Watched {
  readonly mapping: Mapping;
  /** Other processes can find the file by its name. */
  isNamed: boolean;
}

const SIGKILL = 9;
const SIGSTOP = process.platform === "darwin" ? 17 : 19;

const realAtomics = Atomics;
const byBuffer = new WeakMap<ArrayBufferLike, Watched>();
const realOf = new WeakMap<object, Memory>();
let onStep: OnStep | null = null;

/** From now on every step is told; null for none. */
export function watch(listener: OnStep | null): void {
  install();
  onStep = listener;
}

/** SIGKILL for this process: the call does not return. */
export function killSelf(): void {
  libc.kill(process.pid, SIGKILL);
}

/** SIGSTOP for this process: the call returns when somebody continues it. */
export function stopSelf(): void {
  libc.kill(process.pid, SIGSTOP);
}

/** What a 32-bit or 64-bit word or a byte is, by its offset. */
function nameOf({ mapping, isNamed }: Watched, offset: number): string {
  if (!isNamed) return "making";
  const i64 = realOf.get(mapping.i64) as BigInt64Array;
  const at = (word: number): number => Number(i64[word >> 3]);
  if (offset < layout.EXT_OFFSET) return offset === layout.HEADER_TIME ? "time" : "header";
  if (offset < at(layout.HEADER_EVENTS)) return nameOfExtension(offset);
  const dictionary = at(layout.HEADER_DICTIONARY);
  if (offset >= dictionary) {
    if (offset === dictionary + layout.DICTIONARY_END) return "dictionary end";
    if (offset === dictionary + layout.DICTIONARY_NUM_ENTRIES) return "dictionary num_entries";
    return "dictionary entry";
  }
  let ring = layout.RING_COUNT - 1;
  while (offset < at(layout.HEADER_RINGS[ring])) ring--;
  const start = at(layout.HEADER_RINGS[ring]);
  const inRing = offset - start;
  if (inRing === layout.RING_READER_INDEX) return "reader_index";
  if (inRing === layout.RING_WRITER_INDEX) return "writer_index";
  const slots = at(start + layout.RING_NUM_BUFFERS);
  const isFlag = inRing < layout.RING_HEADER_BYTES + slots * layout.AVAILABILITY_BYTES;
  return isFlag ? "availability" : "slot";
}

function nameOfExtension(offset: number): string {
  if (offset === layout.EXT_STATE) return "state";
  if (offset === layout.EXT_READER_HEARTBEAT) return "reader heartbeat";
  if (offset === layout.EXT_READER_PID) return "reader pid";
  const isIn = (start: number, words: number): boolean =>
    offset >= start && offset < start + words * 8;
  if (isIn(layout.EXT_LOSS, layout.RING_COUNT * layout.LOSS_REASONS)) return "loss";
  if (isIn(layout.EXT_READ, layout.RING_COUNT * layout.READ_COPIES * layout.READ_WORDS)) {
    const word = (offset - layout.EXT_READ) / 8 % layout.READ_WORDS;
    return word === layout.READ_RELEASED ? "read released" : "read counter";
  }
  return "extension";
}

function stored(array: Memory, index: number): void {
  const watched = byBuffer.get(array.buffer);
  if (watched === undefined || onStep === null) return;
  const offset = array.byteOffset + index * array.BYTES_PER_ELEMENT;
  onStep(nameOf(watched, offset), watched.mapping.path);
}

function unwrap<T>(value: T): T {
  return (realOf.get(value as object) ?? value) as T;
}

const handler: ProxyHandler<Memory> = {
  get(target, key) {
    if (key === "set") {
      return (source: ArrayLike<number>, offset = 0): void => {
        (target as Uint8Array).set(unwrap(source), offset);
        stored(target, offset);
      };
    }
    if (key === "fill") {
      return (value: never, start = 0, end = target.length): void => {
        target.fill(value, start, end);
        stored(target, start);
      };
    }
    const value = Reflect.get(target, key, target);
    return typeof value === "function" ? value.bind(target) : value;
  },
  set(target, key, value) {
    Reflect.set(target, key, value, target);
    if (typeof key === "string" && /^\d+$/.test(key)) stored(target, Number(key));
    return true;
  },
};

function watchMapping(mapping: Mapping, isNamed: boolean): Mapping {
  byBuffer.set(mapping.buffer, { mapping, isNamed });
  for (const key of ["u8", "i32", "i64"] as const) {
    const real = mapping[key];
    const proxy = new Proxy(real as Memory, handler);
    realOf.set(proxy, real);
    Object.defineProperty(mapping, key, { value: proxy });
  }
  return mapping;
}

let installed = false;

function install(): void {
  if (installed) return;
  installed = true;
  const { create, open } = Mapping;
  Mapping.create = (...args) => watchMapping(create.apply(Mapping, args), false);
  Mapping.open = (...args) => watchMapping(open.apply(Mapping, args), true);
  const { publish } = Mapping.prototype;
  Mapping.prototype.publish = function (...args) {
    const watched = byBuffer.get(this.buffer);
    if (watched !== undefined) watched.isNamed = true;
    try {
      publish.apply(this, args);
    } catch (error) {
      if (watched !== undefined) watched.isNamed = false;
      throw error;
    }
  };

  const writing = new Set([
    "add",
    "and",
    "compareExchange",
    "exchange",
    "or",
    "store",
    "sub",
    "xor",
  ]);
  const atomics: Record<string, unknown> = {};
  for (const name of Object.getOwnPropertyNames(realAtomics)) {
    const real = (realAtomics as unknown as Record<string, (...args: unknown[]) => unknown>)[name];
    atomics[name] = typeof real !== "function" ? real : (array: Memory, ...rest: unknown[]) => {
      const memory = unwrap(array);
      const result = real(memory, ...rest);
      // A swap that failed has stored nothing.
      const failed = name === "compareExchange" && result !== rest[1];
      if (writing.has(name) && !failed) stored(memory, rest[0] as number);
      return result;
    };
  }
  Object.defineProperty(globalThis, "Atomics", { value: atomics, configurable: true });

  const { encodeInto } = TextEncoder.prototype;
  TextEncoder.prototype.encodeInto = function (text, to) {
    const result = encodeInto.call(this, text, unwrap(to));
    stored(unwrap(to) as Memory, 0);
    return result;
  };

  const calls = libc as unknown as Record<string, (...args: unknown[]) => number>;
  const locked = new Set<unknown>();
  for (const name of ["mkostemps", "posix_fallocate", "flock", "link", "unlink", "close"]) {
    const real = calls[name];
    // posix_fallocate is Linux's alone.
    if (real === undefined) continue;
    calls[name] = (...args) => {
      const result = real(...args);
      if (name === "flock") locked.add(args[0]);
      // Of what was not locked nobody sees that it is closed.
      if (name !== "close" || locked.delete(args[0])) onStep?.(name, "");
      return result;
    };
  }
}
