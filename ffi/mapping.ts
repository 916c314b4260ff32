/**
 * A file mapped into memory, shared with every other process that maps it.
 *
 * @module
 */
import { faultsOf, guard, unguard } from "./bus-errors.ts";
import { assertSupported, errnoOf, SystemError } from "./errors.ts";
import {
  allocate,
  checked,
  closeFile,
  createTemporary,
  linkFile,
  lockExclusive,
  openFile,
  sameFile,
  statusAt,
  statusOf,
  unlinkFile,
} from "./file.ts";
import { hide } from "./hide.ts";
import { libc, runtime, view } from "./libc.ts";
import { MAP_SHARED, MS_SYNC, O_NOFOLLOW, O_RDWR, PROT_READ_WRITE } from "./symbols.ts";

/**
 * A shared mapping of a file, with address space reserved for growth. Bytes of the views past
 * {@link Mapping.size} must not be touched: that is a bus error, which ends the process unless the
 * mapping is guarded.
 *
 * V8 counts every byte of a view as memory that a garbage collection could free, reserved ones too:
 * where there are gigabytes of them it collects without end. Who maps many files views little.
 */
export class Mapping {
  /** The file's descriptor; no child inherits it. */
  readonly fd: number;
  /** The mapping, or what was asked for of it; {@link Mapping.reach} has more. */
  declare readonly buffer: ArrayBuffer;
  /** Views over all of {@link Mapping.buffer}; empty after {@link Mapping.close}. */
  declare readonly u8: Uint8Array<ArrayBuffer>;
  declare readonly i32: Int32Array<ArrayBuffer>;
  declare readonly i64: BigInt64Array<ArrayBuffer>;
  #path: string;
  #temporary: string | null;
  #address: number;
  #reserve: number;
  /** A view that goes beyond `buffer`. */
  #longer: Uint8Array<ArrayBuffer> | null = null;
  #size: number;
  #guard: number;
  #closed = false;

  private constructor(
    fd: number,
    path: string,
    temporary: string | null,
    size: number,
    reserve: number,
    viewed = reserve,
    guarded = false,
  ) {
    this.fd = fd;
    this.#path = path;
    this.#temporary = temporary;
    this.#size = size;
    // mmap refuses a length of 0: an empty file opened without reserve has no memory.
    this.#address = reserve === 0 ? 0 : mapShared(fd, path, reserve);
    this.#reserve = reserve;
    let buffer: ArrayBuffer;
    try {
      buffer = reserve === 0 ? new ArrayBuffer(0) : viewOf(this.#address, path, viewed);
    } catch (error) {
      libc.munmap(this.#address, reserve);
      throw error;
    }
    hide(this, {
      buffer,
      u8: new Uint8Array(buffer),
      i32: new Int32Array(buffer, 0, Math.floor(viewed / 4)),
      i64: new BigInt64Array(buffer, 0, Math.floor(viewed / 8)),
    });
    this.#guard = guarded ? guard(this.#address, reserve) : -1;
  }

  /**
   * Makes a new file of `bytes` zero bytes, all blocks allocated, mode 0600, under a temporary name
   * beside `path` (`<path>.<pid>-<random>.tmp`), and maps `reserve` bytes (at least `bytes`).
   * {@link Mapping.publish} gives it its name. Throws {@link SystemError}; leaves no file behind then.
   */
  static create(path: string, options: { bytes: number; reserve?: number }): Mapping {
    assertSupported("create", path);
    const { bytes, reserve = bytes } = options;
    checkBytes("bytes", bytes, 1);
    checkBytes("reserve", reserve, bytes);
    const { fd, temporary } = createTemporary(path);
    try {
      allocate(fd, temporary, 0, bytes);
      return new Mapping(fd, path, temporary, bytes, reserve);
    } catch (error) {
      unlinkFile(temporary);
      closeFile(fd);
      throw error;
    }
  }

  /**
   * Opens a file for reading and writing and maps its length or `reserve` bytes, whichever is more
   * (nothing for an empty file without `reserve`). `follow: false` refuses a symbolic link (ELOOP);
   * `growth` limits the views to the length that the file has now and so many bytes more;
   * `guarded` has bus errors contained where this process does that (see `containBusErrors`).
   * Throws {@link SystemError}; ENODEV for anything but a regular file.
   */
  static open(
    path: string,
    options: { reserve?: number; growth?: number; follow?: boolean; guarded?: boolean } = {},
  ): Mapping {
    assertSupported("open", path);
    const { reserve = 0, growth = Infinity, follow = true, guarded = false } = options;
    checkBytes("reserve", reserve, 0);
    if (growth !== Infinity) checkBytes("growth", growth, 0);
    const fd = openFile(path, O_RDWR | (follow ? 0 : O_NOFOLLOW));
    try {
      const status = statusOf(fd, path);
      if (!status.isFile) throw new SystemError("mmap", path, errnoOf("ENODEV"));
      const mapped = Math.max(status.size, reserve);
      const viewed = Math.min(mapped, status.size + growth);
      return new Mapping(fd, path, null, status.size, mapped, viewed, guarded);
    } catch (error) {
      closeFile(fd);
      throw error;
    }
  }

  /** The file's name, or the one it is to get; as given, so a relative one follows the directory. */
  get path(): string {
    return this.#path;
  }

  /** The file's length in bytes as last known; at most the reserve may be touched. */
  get size(): number {
    return this.#size;
  }

  /** True after {@link Mapping.close}. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Pages of a guarded mapping that were touched when the file had no such page any more. */
  get faults(): number {
    return faultsOf(this.#guard);
  }

  /** Bytes that are mapped: as long as the file can become here. */
  get reserve(): number {
    return this.#reserve;
  }

  /**
   * The mapping's first `end` bytes, and maybe more of them; null beyond the reserve. What this
   * returned before, if not `u8`, may be empty afterwards.
   */
  reach(end: number): Uint8Array<ArrayBuffer> | null {
    const first = this.buffer.byteLength;
    if (end <= first) return this.u8;
    const before = this.#longer?.length ?? first;
    if (end <= before) return this.#longer;
    this.#open();
    if (end > this.#reserve) return null;
    // Files grow step by step: each view has room for twice as many steps.
    const bytes = Math.min(this.#reserve, first + 2 * Math.max(end - first, before - first));
    const buffer = viewOf(this.#address, this.#path, bytes);
    this.#longer?.buffer.transfer();
    this.#longer = new Uint8Array(buffer);
    return this.#longer;
  }

  /** Asks for the file's length in bytes now, which another process may have changed. */
  refresh(): number {
    this.#size = statusOf(this.#open(), this.#path).size;
    return this.#size;
  }

  /** The id of the user that the file belongs to. */
  owner(): number {
    return statusOf(this.#open(), this.#path).uid;
  }

  /**
   * Takes the file's lock (flock, exclusive) without waiting; false when somebody else holds it.
   * The system gives it back when this process ends, however it ends.
   */
  lock(): boolean {
    return lockExclusive(this.#open(), this.#path);
  }

  /**
   * Gives a created file its name, in one step and never in place of another file: when `path` is
   * taken this throws with code EEXIST, and may be called again with another path.
   */
  publish(path: string = this.#path): void {
    this.#open();
    if (this.#temporary === null) throw new Error(`${this.#path} was published already`);
    linkFile(this.#temporary, path);
    const temporary = this.#temporary;
    this.#path = path;
    this.#temporary = null;
    unlinkFile(temporary);
  }

  /** Removes the temporary name of a file that was not published; otherwise does nothing. */
  discard(): void {
    if (this.#temporary === null) return;
    const temporary = this.#temporary;
    this.#temporary = null;
    unlinkFile(temporary);
  }

  /**
   * Makes the file at least `bytes` long, zeros, all blocks allocated; never shorter. Throws a
   * RangeError beyond the reserve and a {@link SystemError} when there is no space; what was mapped
   * stays usable either way.
   */
  grow(bytes: number): void {
    const fd = this.#open();
    checkBytes("bytes", bytes, 0);
    if (bytes > this.#reserve) {
      throw new RangeError(
        `${this.#path}: cannot grow to ${bytes} bytes, ${this.#reserve} are reserved`,
      );
    }
    // Another process may have made it longer.
    if (bytes <= this.refresh()) return;
    try {
      allocate(fd, this.#temporary ?? this.#path, this.#size, bytes);
    } finally {
      this.refresh();
    }
  }

  /** Waits until what is in memory is on the disk. */
  sync(): void {
    this.#open();
    const bytes = Math.min(this.#size, this.#reserve);
    if (bytes === 0) return;
    // What the disk refused is said once: the next call would succeed.
    checked("msync", this.#path, () => libc.msync(this.#address, bytes, MS_SYNC), true);
  }

  /** Does `path` still name this very file (same device, same inode)? */
  isAtPath(path: string = this.#path): boolean {
    const there = statusAt(path);
    return there !== null && sameFile(there, statusOf(this.#open(), this.#path));
  }

  /**
   * Empties every view, unmaps, closes the descriptor and with it gives the lock back. A late access
   * through a view finds nothing instead of crashing the process. Does nothing the second time.
   */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // Moves nothing: the memory goes to a new ArrayBuffer that nobody keeps, the views become empty.
    this.#longer?.buffer.transfer();
    this.buffer.transfer();
    // Before the addresses may be somebody else's.
    unguard(this.#guard);
    this.#guard = -1;
    if (this.#reserve > 0) libc.munmap(this.#address, this.#reserve);
    closeFile(this.fd);
  }

  #open(): number {
    if (this.#closed) throw new Error(`${this.#path} is closed`);
    return this.fd;
  }
}

function mapShared(fd: number, path: string, bytes: number): number {
  return checked("mmap", path, () => libc.mmap(0, bytes, PROT_READ_WRITE, MAP_SHARED, fd, 0));
}

function viewOf(address: number, path: string, bytes: number): ArrayBuffer {
  try {
    return view(address, bytes);
  } catch {
    throw new RangeError(
      `${path}: ${bytes} bytes are more than an ArrayBuffer holds on ${runtime.name}: use smaller rings`,
    );
  }
}

function checkBytes(name: string, value: number, least: number): void {
  if (!Number.isSafeInteger(value) || value < least) {
    throw new RangeError(`${name} must be an integer of at least ${least}, not ${value}`);
  }
}
