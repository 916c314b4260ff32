/**
 * The wall clock in nanoseconds, without allocation.
 *
 * @module
 */
import { libc, pointer, runtime, view } from "./libc.ts";
import { CLOCK_REALTIME, MAP_PRIVATE_ANONYMOUS, PROT_READ_WRITE } from "./symbols.ts";

const PAGE = 4096;
// A page of its own: a small typed array may live on the heap and move under the call.
const address = runtime.supported
  ? libc.mmap(0, PAGE, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0)
  : -1;
const mapped = address !== -1;

/**
 * The time of the last {@link now}: `[0]` low and `[1]` high half of the seconds since the Unix
 * epoch, `[2]` the nanoseconds in that second.
 */
export const clockWords: Int32Array = new Int32Array(
  mapped ? view(address, 16) : new ArrayBuffer(16),
);

const clockGettime = mapped ? libc.clock_gettime : millisecondClock;
const page = mapped ? pointer(address) : undefined as never;

/** Reads CLOCK_REALTIME into {@link clockWords}. In milliseconds where there is no FFI. */
export function now(): void {
  clockGettime(CLOCK_REALTIME, page);
}

function millisecondClock(): number {
  const milliseconds = Date.now();
  const seconds = Math.floor(milliseconds / 1000);
  clockWords[0] = seconds;
  clockWords[1] = Math.floor(seconds / 2 ** 32);
  clockWords[2] = (milliseconds - seconds * 1000) * 1_000_000;
  return 0;
}
