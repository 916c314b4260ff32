/**
 * Files that are made shorter while they are mapped. To touch a page that is not there any more is a
 * bus error, which ends a process. Whoever reads the files of others can have it contained: the page
 * is replaced with an empty one, the fault is counted for the mapping, and the program goes on.
 *
 * Measured against reading with pread(2), which can't fault either: that costs 100 to 200 ns a record
 * (all of a slot is copied, where a record fills a small part), and has no atomic operations on words
 * that both sides store. A handler costs nothing until there is a fault.
 *
 * A handler for the whole process is for programs of our own: libraries install none.
 *
 * @module
 */
import process from "node:process";
import {
  ENTRY_END,
  ENTRY_FAULTS,
  ENTRY_START,
  ENTRY_WORDS,
  handlerCode,
  TABLE_ENTRIES,
  TABLE_FAULTS,
  TABLE_FIRST,
  TABLE_PAGE_BYTES,
  TABLE_PREVIOUS,
} from "./bus-handler.ts";
import { libc, runtime, view } from "./libc.ts";
import {
  isMac,
  MAP_PRIVATE_ANONYMOUS,
  PROT_READ_EXECUTE,
  PROT_READ_WRITE,
  SA_ONSTACK,
  SA_SIGINFO,
  SIGACTION_BYTES,
  SIGACTION_FLAGS,
  SIGBUS,
} from "./symbols.ts";

/** Mappings that are guarded at a time. More are mapped as ever, and not guarded. */
const MAX_ENTRIES = 1 << 15;

let table: BigInt64Array | null = null;
let tried = false;
/** Entries that were used and are free. */
const free: number[] = [];

/**
 * From now on a bus error in a guarded mapping ends nothing. Returns why that can't be, or null: on
 * macOS, and where the system lets no memory become executable.
 */
export function containBusErrors(): string | null {
  if (table !== null) return null;
  if (!runtime.supported) return runtime.reason ?? "";
  if (isMac) return "not on macOS";
  if (tried) return "it failed before";
  tried = true;
  const code = handlerCode(process.arch);
  if (code === null) return `not on ${process.arch}`;
  const page = libc.getpagesize();
  const codeAt = anonymous(page);
  const tableAt = anonymous((TABLE_FIRST + MAX_ENTRIES * ENTRY_WORDS) * 8);
  if (codeAt === -1 || tableAt === -1) return "there is no memory for it";
  const words = new BigInt64Array(view(tableAt, (TABLE_FIRST + MAX_ENTRIES * ENTRY_WORDS) * 8));
  words[TABLE_PAGE_BYTES] = BigInt(page);
  const place = new DataView(view(codeAt, page));
  new Uint8Array(place.buffer).set(code.bytes);
  place.setBigInt64(code.table, BigInt(tableAt), true);
  // Never writable and executable at a time. The kernel makes fresh code visible to the processor.
  if (libc.mprotect(codeAt, page, PROT_READ_EXECUTE) !== 0) {
    return "the system lets no memory become executable";
  }
  const action = new Uint8Array(SIGACTION_BYTES);
  const previous = new Uint8Array(SIGACTION_BYTES);
  const fields = new DataView(action.buffer);
  fields.setBigInt64(0, BigInt(codeAt), true);
  fields.setInt32(SIGACTION_FLAGS, SA_SIGINFO | SA_ONSTACK, true);
  if (libc.sigaction(SIGBUS, action, previous) !== 0) return "the system takes no handler";
  words[TABLE_PREVIOUS] = new DataView(previous.buffer).getBigInt64(0, true);
  table = words;
  return null;
}

/** Guards a mapping. Returns its entry; -1 where nothing is contained, or too much is already. */
export function guard(address: number, bytes: number): number {
  if (table === null || bytes === 0) return -1;
  const used = Number(table[TABLE_ENTRIES]);
  const entry = free.pop() ?? (used < MAX_ENTRIES ? used : -1);
  if (entry === -1) return -1;
  const at = TABLE_FIRST + entry * ENTRY_WORDS;
  table[at + ENTRY_FAULTS] = 0n;
  table[at + ENTRY_START] = BigInt(address);
  table[at + ENTRY_END] = BigInt(address + bytes);
  if (entry === used) table[TABLE_ENTRIES] = BigInt(used + 1);
  return entry;
}

/** Guards it no longer: to be called before the mapping goes. */
export function unguard(entry: number): void {
  if (table === null || entry === -1) return;
  table[TABLE_FIRST + entry * ENTRY_WORDS + ENTRY_END] = 0n;
  free.push(entry);
}

/** How many pages of a guarded mapping were not there. */
export function faultsOf(entry: number): number {
  if (table === null || entry === -1) return 0;
  return Number(table[TABLE_FIRST + entry * ENTRY_WORDS + ENTRY_FAULTS]);
}

/** How many pages of all guarded mappings were not there, since the start. */
export function busErrors(): number {
  return table === null ? 0 : Number(table[TABLE_FAULTS]);
}

function anonymous(bytes: number): number {
  return libc.mmap(0, bytes, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0);
}
