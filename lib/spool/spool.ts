/**
 * A folder in which OTLP requests wait until they are delivered, through restarts, kills and full
 * disks.
 *
 * @module
 */
import { readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { clearInterval, setInterval } from "node:timers";
import { fileSizeLimit } from "../../ffi/mod.ts";
import { sharing, type SpoolBudget } from "./budget.ts";
import { makeFolder } from "../file/folder.ts";
import { inodeAt } from "../file/inode.ts";
import { parseName, SPOOL_SIGNALS, type SpoolSignal } from "./names.ts";
import { adopt, type Adopted, becomeOwner } from "./owners.ts";
import { isInPlace, putBack } from "./place.ts";
import { PROGRESS_BYTES } from "./progress.ts";
import { HEADER_BYTES, MAX_BODY_BYTES, MAX_MARK_BYTES } from "./record.ts";
import {
  acknowledge,
  after,
  append,
  type Chunk,
  CLAIM_BYTES,
  closeFile,
  leave,
  newSegment,
  readRecord,
  removePath,
  scan,
  type Segment,
  sizeWith,
  syncFile,
} from "./segment.ts";
import {
  adoptMark,
  begin,
  complete,
  completeDelivered,
  count,
  drawLine,
  drop,
  insert,
  isDone,
  newShelf,
  noteMark,
  type RefusalReason,
  remove,
  saveMark,
  settle,
  type Shelf,
  type ShelfCounts,
} from "./shelf.ts";

/** How a spool keeps what it is given. */
export interface SpoolOptions {
  /**
   * Bytes of all files of this process in the folder at most; headers, marks and checksums count.
   * Beyond it the oldest segment of the signal that has most is dropped, and counted. Default 64 MiB.
   *
   * Each process that uses the folder has its own limit: two may together have twice as much there. What a
   * dead one has left counts for who takes it over, which then drops the oldest of both beyond its limit. So
   * give each its part of the room, or a folder of its own.
   */
  readonly maxBytes?: number;
  /**
   * A limit that other spools of this process have too, in place of `maxBytes`. Beyond it the oldest
   * segment of the spool and signal that have most is dropped, and counted there.
   */
  readonly budget?: SpoolBudget;
  /**
   * A segment is completed before it gets larger than this. A request that is larger has one of its
   * own. Default 16 MiB, at most an eighth of `maxBytes`.
   */
  readonly segmentBytes?: number;
  /**
   * What has waited for longer is dropped, and counted; milliseconds. Default 24 hours. Setting the clock does
   * not make it older: how old it was is asked once, when the spool is opened, and from then on time is measured.
   */
  readonly maxAgeMs?: number;
  /** What was stored is handed out after so many milliseconds at the earliest. Default 0. */
  readonly minReadAgeMs?: number;
  /**
   * When to wait for the disk. Nothing is lost when a process is killed, whatever this says; it is
   * about power failures. `"none"`: the system writes when it likes, commonly within half a minute.
   * `"segment"`: when one is complete. `"record"`: before `put` returns. A number: every so many
   * milliseconds. The names of files and folders are waited for with what is in them. Default
   * `"segment"`.
   */
  readonly sync?: "none" | "segment" | "record" | number;
  /** The clock, milliseconds since the Unix epoch. Default `Date.now`. */
  readonly now?: () => number;
  /** A clock that nobody sets, milliseconds since whenever. Default `performance.now`. */
  readonly elapsed?: () => number;
}

/** Options of one request. */
export interface PutOptions {
  /** A few bytes of the caller's that are found again by {@linkcode Spool.lastMark}; at most 255. */
  readonly mark?: Uint8Array;
  /**
   * The caller delivers it itself, from memory, where nothing is before it: then it counts as handed
   * out, and is to be acknowledged or given back.
   */
  readonly take?: boolean;
  /** Wait until it is on the disk, as `sync: "record"` does for every request. */
  readonly sync?: boolean;
}

/** A request that is stored. */
export interface Placed {
  /** What to acknowledge or give back; 0 when it waits with the others, to be handed out later. */
  readonly id: number;
}

/** A request that was not stored. */
export interface Refused {
  readonly refused: RefusalReason;
}

/** A request that was handed out. */
export interface Stored {
  /** What to acknowledge or give back. */
  readonly id: number;
  /** The message. These bytes are used again once it is acknowledged or given back. */
  readonly body: Uint8Array;
  readonly items: number;
  /** When it was stored, milliseconds since the Unix epoch. */
  readonly time: number;
}

/** Whether the folder is the one that was opened. */
export interface FolderState {
  /** How often it, or what is in it, was found to be removed or replaced by somebody. */
  readonly vanished: number;
  /** Why it can't be used, or looked at, now; undefined when it can. */
  readonly error: string | undefined;
}

/** A spool that is open. All calls are synchronous. */
export interface Spool {
  /** Where it is, an absolute path. */
  readonly folder: string;
  /** Its limit, for others that are to share it. */
  readonly budget: SpoolBudget;
  /**
   * Stores an export request of a signal. Once this returns it survives the process.
   *
   * @param items Spans, data points or log records in it: for the counts.
   * @returns why it was refused, if it was: `full` is the disk, `large` is a request over the limit,
   * and `failed` anything else; `lastError` says more. The next one may be stored.
   */
  put(
    signal: SpoolSignal,
    body: Uint8Array,
    items: number,
    options?: PutOptions,
  ): Placed | Refused;
  /**
   * Hands out the oldest request of a signal that nobody has. Null when there is none, or none old
   * enough, or none that the system lets be read: ask again later.
   */
  next(signal: SpoolSignal): Stored | null;
  /**
   * Why some of what waits can't be read; undefined when it can, as far as that was tried. It is kept:
   * `next` tries again, after half a minute where that concerns some files alone.
   */
  readError(signal: SpoolSignal): string | undefined;
  /** It was delivered. Acknowledgements may come in any order, and cost what they concern alone. */
  acknowledge(id: number): void;
  /** It could not be delivered now: it is the next to be handed out. */
  giveBack(id: number): void;
  /**
   * The mark of the last request of a signal that was stored with one, also by those before this
   * process, and also when all were delivered. Null when there was none.
   */
  lastMark(signal: SpoolSignal): Uint8Array | null;
  /** What is there, and what became of the rest. */
  readonly counts: Readonly<Record<SpoolSignal, ShelfCounts>>;
  /** Why the system refused something last. */
  readonly lastError: string | undefined;
  /**
   * Takes over what processes that are dead by now have left. Returns how many requests that is.
   *
   * @throws Error of the system; what could not be looked at is tried again with the next call.
   */
  adopt(): number;
  /**
   * Looks whether the folder is still the one that was opened, which `put` does now and then as well. Where it
   * was removed or replaced it is made again, and what is in files that are open is written there once more;
   * the rest is counted as `gone`. Where it can't be made, `put` refuses until it can.
   */
  check(): FolderState;
  /**
   * Waits until everything is on the disk.
   *
   * @throws Error of the system; what is not there is counted as `unsynced`.
   */
  sync(): void;
  /** Completes the segments, and leaves them to the next process. What is handed out stays stored. */
  close(): void;
}

const MiB = 2 ** 20;
const DEFAULT_BYTES = 64 * MiB;
const DEFAULT_SEGMENT_BYTES = 16 * MiB;
const DEFAULT_AGE_MS = 24 * 3_600_000;
/** Before segments that could not be read are tried again. */
const AGAIN_MS = 30_000;
/** When the clock was set by more, what is put goes to another segment: each has one {@linkcode Segment.shift}. */
const SET_MS = 1000;
/** Before `put` looks for the folder again. */
const CHECK_MS = 1000;
/** What the whole process is short of, for a moment, says nothing of a file. */
const SHORTAGES: ReadonlySet<string | undefined> = new Set(["EMFILE", "ENFILE", "ENOMEM"]);
const NO_MARK = new Uint8Array(0);

/** Somebody has it. */
interface Running {
  readonly shelf: Shelf;
  readonly segment: Segment;
  readonly at: number;
  readonly items: number;
  /** What its message is in; null when that is the caller's memory. */
  chunk: Chunk | null;
  isReturned: boolean;
}

/**
 * Opens a spool in a folder, made if it is not there. What dead processes left in it is handed out
 * first. Several processes may use the same folder: each delivers what it stored.
 *
 * @throws Error when the folder can't be used, or files can't be locked here.
 */
export function openSpool(path: string, options: SpoolOptions = {}): Spool {
  // The process may go to another folder while it is used.
  const folder = resolve(path);
  const { maxBytes = DEFAULT_BYTES, maxAgeMs = DEFAULT_AGE_MS, minReadAgeMs = 0 } = options;
  const { budget = { maxBytes } } = options;
  const { sync = "segment", now = Date.now, elapsed = () => performance.now() } = options;
  // Writing past this would end the process.
  const fileLimit = fileSizeLimit();
  const usual = Math.min(DEFAULT_SEGMENT_BYTES, budget.maxBytes / 8);
  const segmentBytes = Math.min(options.segmentBytes ?? usual, fileLimit);
  const claimTo = segmentBytes >= 4 * CLAIM_BYTES ? segmentBytes : 0;
  for (const signal of SPOOL_SIGNALS) makeFolder(join(folder, signal), sync !== "none");
  let owner = becomeOwner(folder);
  const shelves = {} as Record<SpoolSignal, Shelf>;
  for (const signal of SPOOL_SIGNALS) {
    shelves[signal] = newShelf(signal, folder, owner.name, sync !== "none");
  }
  const all = Object.values(shelves);
  const rivals = sharing(budget);
  for (const shelf of all) rivals.add(shelf);
  const running = new Map<number, Running>();
  /** Those that were given back, in the order of storing. */
  const returned: Record<SpoolSignal, number[]> = { traces: [], metrics: [], logs: [] };
  /** What was taken over and could not be looked at yet. */
  let adopted: Adopted[] = [];
  let lastId = 0;
  let lastError: string | undefined;
  let isClosed = false;
  /** See {@linkcode FolderState}. */
  let vanished = 0;
  let folderError: string | undefined;
  let isAway = false;
  /** When that was looked at last, of the clock that nobody sets. */
  let checkedAt = elapsed();

  const failed = (error: unknown): RefusalReason => {
    const { code, message } = error as { code?: string; message: string };
    lastError = code === undefined || message.includes(code) ? message : `${code}: ${message}`;
    return code === "ENOSPC" || code === "EDQUOT" ? "full" : "failed";
  };

  // --------------------------------------------------------------------------------------- storing

  function put(
    signal: SpoolSignal,
    body: Uint8Array,
    items: number,
    options: PutOptions = {},
    isAgain = false,
  ): Placed | Refused {
    const { mark = NO_MARK, take = false } = options;
    const waits = options.sync === true || sync === "record";
    if (mark.length > MAX_MARK_BYTES) {
      throw new RangeError(`a mark of ${mark.length} bytes: at most ${MAX_MARK_BYTES}`);
    }
    const shelf = shelves[signal];
    const { counts } = shelf;
    const refuse = (refused: RefusalReason): Refused => {
      count(counts.refused[refused], 1, items);
      return { refused };
    };
    if (isClosed) return refuse("failed");
    const ms = elapsed();
    if (ms - checkedAt >= CHECK_MS) check();
    if (isAway) {
      lastError = folderError;
      return refuse("failed");
    }
    const bytes = HEADER_BYTES + mark.length + body.length;
    const most = Math.min(budget.maxBytes, fileLimit) - PROGRESS_BYTES;
    if (bytes > most || body.length > MAX_BODY_BYTES) {
      return refuse("large");
    }
    const time = now();
    try {
      dropOld(shelf, ms);
      const { writing } = shelf;
      const shift = ms - time;
      if (
        writing !== null && (writing.isUnsynced || writing.end + bytes > segmentBytes ||
          Math.abs(writing.shift - shift) > SET_MS)
      ) roll(shelf);
      makeRoom(bytes, shelf);
      if (shelf.writing === null) begin(shelf, claimTo).shift = shift;
      const segment = shelf.writing!;
      passOn(shelf);
      const isNext = shelf.cursor === segment && segment.readAt === segment.end;
      const at = segment.end;
      const size = segment.bytes;
      try {
        append(segment, mark, body, items, time, waits);
      } finally {
        counts.bytes += segment.bytes - size;
      }
      count(counts.stored, 1, items);
      if (mark.length > 0) noteMark(shelf, segment, true);
      count(counts.waiting, 1, items);
      if (!take || !isNext || returned[signal].length > 0) return { id: 0 };
      segment.readAt = segment.end;
      return { id: handOut(shelf, segment, at, items, null) };
    } catch (error) {
      if ((error as { code?: string }).code === "ENOENT" && !isAgain) {
        check();
        return put(signal, body, items, options, true);
      }
      return refuse(failed(error));
    }
  }

  function check(): FolderState {
    checkedAt = elapsed();
    try {
      if (!isClosed && (isAway || !isInPlace(owner, all))) {
        if (!isAway) vanished++;
        isAway = true;
        makeAgain();
      }
      isAway = false;
      folderError = undefined;
    } catch (error) {
      failed(error);
      folderError = lastError;
    }
    return { vanished, error: folderError };
  }

  /** As far as it can be done; it is called again where it throws. */
  function makeAgain(): void {
    for (const { folder } of all) makeFolder(folder, sync !== "none");
    if (inodeAt(owner.path) !== owner.inode) {
      const before = owner;
      owner = becomeOwner(folder);
      before.lock.release();
    }
    for (const shelf of all) {
      shelf.owner = owner.name;
      skipNumbers(shelf);
      for (const segment of putBack(shelf)) drop(shelf, segment, "gone");
      if (sync === "none") continue;
      for (let segment = shelf.first; segment !== null; segment = segment.next) {
        if (segment.fd >= 0 && !segment.isListed) syncOther(shelf, segment);
      }
    }
  }

  /** What is written comes also behind what others who live have stored. */
  function skipNumbers(shelf: Shelf): void {
    for (const file of readdirSync(shelf.folder)) {
      shelf.nextNumber = Math.max(shelf.nextNumber, (parseName(file)?.number ?? 0) + 1);
    }
  }

  /** The segment is complete, and the next one begins with the next request. */
  function roll(shelf: Shelf): void {
    if (shelf.writing === null) return;
    const error = sync === "none" ? undefined : settle(shelf);
    if (error !== undefined) failed(error);
    complete(shelf);
  }

  function makeRoom(bytes: number, shelf: Shelf): void {
    for (let isFirst = true;; isFirst = false) {
      const before = shelf.writing ?? { bytes: 0, end: PROGRESS_BYTES, claimTo };
      let used = sizeWith(before, bytes) - before.bytes;
      let largest = shelf;
      for (const rival of rivals) {
        used += rival.counts.bytes;
        if (rival.counts.bytes > largest.counts.bytes) largest = rival;
      }
      if (used <= budget.maxBytes) return;
      // What was delivered goes first. Small ones are not worth it.
      if (isFirst) rivals.forEach((rival) => completeDelivered(rival, segmentBytes / 2));
      else if (largest.first === null) return;
      else drop(largest, largest.first, "size");
    }
  }

  /** Segments of which even the last request is too old. */
  function dropOld(shelf: Shelf, ms: number): void {
    for (let { first } = shelf; first !== null && first.end > PROGRESS_BYTES; { first } = shelf) {
      if (ageOf(first, first.lastTime, ms) <= maxAgeMs) return;
      drop(shelf, first, "age");
    }
  }

  /** Of something that was stored then. */
  function ageOf({ shift }: Segment, time: number, ms: number): number {
    return ms - shift - time;
  }

  // ------------------------------------------------------------------------------------ delivering

  function handOut(
    shelf: Shelf,
    segment: Segment,
    at: number,
    items: number,
    chunk: Chunk | null,
  ): number {
    take(shelf, segment, items);
    segment.running++;
    count(shelf.counts.running, 1, items);
    running.set(++lastId, { shelf, segment, at, items, chunk, isReturned: false });
    return lastId;
  }

  function take({ counts }: Shelf, segment: Segment, items: number): void {
    segment.waiting--;
    segment.waitingItems -= items;
    count(counts.waiting, -1, -items);
  }

  function next(signal: SpoolSignal): Stored | null {
    const shelf = shelves[signal];
    if (isClosed) return null;
    const ms = elapsed();
    dropOld(shelf, ms);
    if (shelf.passedOverAt === null) shelf.readError = undefined;
    else if (ms - shelf.passedOverAt >= AGAIN_MS) lookAgain(shelf);
    for (;;) {
      passOn(shelf);
      const id = firstReturned(signal);
      const segment = id === undefined ? shelf.cursor : running.get(id)!.segment;
      if (segment === null || (id === undefined && segment.readAt >= segment.end)) return null;
      try {
        const stored = id === undefined ? nextOf(shelf, segment, ms) : nextReturned(shelf, id);
        if (stored === "later") return null;
        if (stored !== null) return stored;
      } catch (error) {
        if (!passOver(shelf, segment, error)) return null;
      }
    }
  }

  /** What the system does not let be read now stays. False when that is not for this segment alone. */
  function passOver(shelf: Shelf, segment: Segment, error: unknown): boolean {
    failed(error);
    const { code } = error as { code?: string };
    if (code === "ENOENT") {
      // Somebody has removed it.
      drop(shelf, segment, "gone");
      return true;
    }
    shelf.readError = lastError;
    if (SHORTAGES.has(code)) return false;
    segment.isPassedOver = true;
    shelf.passedOverAt ??= elapsed();
    return true;
  }

  function lookAgain(shelf: Shelf): void {
    shelf.readError = undefined;
    shelf.passedOverAt = null;
    for (let segment = shelf.first; segment !== null; segment = segment.next) {
      segment.isPassedOver = false;
    }
    shelf.cursor = shelf.first;
  }

  /** Leaves the segments behind of which everything was handed out, or nothing can be now. */
  function passOn(shelf: Shelf): void {
    const { counts } = shelf;
    for (let segment = shelf.cursor; segment !== null; segment = shelf.cursor) {
      if (!segment.isPassedOver) {
        if (segment.readAt < segment.end || segment.isOpen) return;
        // Damaged after they were counted, or too much so to be counted.
        const lost = Math.max(segment.waiting, segment.damaged);
        count(counts.dropped.corrupt, lost, segment.waitingItems);
        count(counts.waiting, -segment.waiting, -segment.waitingItems);
        segment.waiting = segment.waitingItems = segment.damaged = 0;
      }
      shelf.cursor = segment.next;
      if (!segment.isOpen) closeFile(segment);
      if (isDone(segment)) remove(shelf, segment);
    }
  }

  /** Null when there is none at this place, but there may be one behind it. */
  function nextOf(shelf: Shelf, segment: Segment, ms: number): Stored | "later" | null {
    const { reader, counts } = shelf;
    const step = readRecord(reader, segment, segment.readAt, true);
    if (step === undefined) return null;
    const { at, header } = step;
    if (header === null) {
      segment.damaged++;
      segment.readAt += step.skipped;
      return null;
    }
    const { time, items } = header;
    const age = ageOf(segment, time, ms);
    if (header.acknowledged) {
      segment.readAt = step.body === null
        ? after(reader, segment, { ...step, header }, true)
        : at + header.bytes;
      return null;
    }
    // One from a future holds back nothing.
    if (Math.abs(age) < minReadAgeMs) return "later";
    if (step.body === null) {
      segment.readAt = after(reader, segment, { ...step, header }, true);
      take(shelf, segment, items);
      count(counts.dropped.corrupt, 1, items);
      return null;
    }
    segment.readAt = at + header.bytes;
    if (age > maxAgeMs) {
      take(shelf, segment, items);
      count(counts.dropped.age, 1, items);
      return null;
    }
    reader.chunk.users++;
    return { id: handOut(shelf, segment, at, items, reader.chunk), body: step.body, items, time };
  }

  function firstReturned(signal: SpoolSignal): number | undefined {
    for (const id of returned[signal]) {
      const { isGone, isPassedOver } = running.get(id)!.segment;
      if (isGone || !isPassedOver) return id;
    }
    return undefined;
  }

  /** Null when it is there no longer. When it can't be read, it is as if it was not tried. */
  function nextReturned(shelf: Shelf, id: number): Stored | null {
    const ids = returned[shelf.signal];
    const entry = running.get(id)!;
    const { segment, at, items } = entry;
    const step = segment.isGone ? undefined : readRecord(shelf.reader, segment, at, true);
    ids.splice(ids.indexOf(id), 1);
    entry.isReturned = false;
    if (segment.isGone) {
      running.delete(id);
      return null;
    }
    segment.returned--;
    segment.returnedItems -= items;
    count(shelf.counts.waiting, -1, -items);
    count(shelf.counts.running, 1, items);
    if (step === undefined || step.header === null || step.body === null) {
      count(shelf.counts.dropped.corrupt, 1, items);
      end(id, entry);
      return null;
    }
    entry.chunk = shelf.reader.chunk;
    entry.chunk.users++;
    return { id, body: step.body, items, time: step.header.time };
  }

  /** Nobody has it any more, and nobody will. */
  function end(id: number, { shelf, segment, items }: Running): void {
    running.delete(id);
    segment.running--;
    count(shelf.counts.running, -1, -items);
    passOn(shelf);
    if (!segment.isGone && isDone(segment)) remove(shelf, segment);
  }

  function letGo(entry: Running): void {
    if (entry.chunk !== null) leave(entry.shelf.reader, entry.chunk);
    entry.chunk = null;
  }

  function acknowledgeOne(id: number): void {
    const entry = running.get(id);
    if (entry === undefined || entry.isReturned || isClosed) return;
    letGo(entry);
    const { shelf, segment, at, items } = entry;
    count(shelf.counts.acknowledged, 1, items);
    if (!segment.isGone) acknowledge(segment, at);
    end(id, entry);
  }

  function giveBack(id: number): void {
    const entry = running.get(id);
    if (entry === undefined || entry.isReturned || isClosed) return;
    letGo(entry);
    const { shelf, segment, items } = entry;
    const { counts } = shelf;
    if (segment.isGone) {
      // Dropped meanwhile, with the others of its segment.
      count(counts.dropped[segment.droppedFor ?? "size"], 1, items);
      end(id, entry);
      return;
    }
    entry.isReturned = true;
    segment.returned++;
    segment.returnedItems += items;
    count(counts.waiting, 1, items);
    count(counts.running, -1, -items);
    const ids = returned[shelf.signal];
    let place = ids.length;
    while (place > 0 && ids[place - 1] > id) place--;
    ids.splice(place, 0, id);
  }

  // ------------------------------------------------------------------------------------ what others left

  function adoptAll(): number {
    // While it is away, files of ours may have the name of an owner that is dead.
    if (isClosed || isAway) return 0;
    adopt(folder, owner.name, adopted);
    const files = adopted;
    adopted = [];
    // The last of an owner may not have come to the disk before the power failed.
    const newest = new Map<string, Adopted>();
    for (const file of files) {
      const { signal, was } = file;
      if (was.ending !== "mark") newest.set(`${signal} ${was.owner}`, file);
    }
    const behindDamage = new Set<Shelf>();
    let requests = 0;
    for (const file of files) {
      const { signal, was } = file;
      try {
        const isNewest = newest.get(`${signal} ${was.owner}`) === file;
        requests += takeOver(shelves[signal], file, isNewest, behindDamage);
      } catch (error) {
        failed(error);
        file.error = lastError;
        if ((error as { code?: string }).code !== "ENOENT") adopted.push(file);
      }
    }
    // What is written now comes after all of that.
    for (const shelf of all) if (shelf.writing !== shelf.last) roll(shelf);
    for (const shelf of behindDamage) {
      try {
        roll(shelf);
        drawLine(shelf);
      } catch (error) {
        // Whoever looks next does not count these marks either.
        failed(error);
      }
    }
    return requests;
  }

  function takeOver(
    shelf: Shelf,
    { path, was }: Adopted,
    isNewest: boolean,
    behindDamage: Set<Shelf>,
  ): number {
    if (was.ending === "mark") {
      const isLine = behindDamage.has(shelf);
      if (adoptMark(shelf, path, was.number, was.salt, isLine)) behindDamage.delete(shelf);
      return 0;
    }
    const segment = newSegment(path, was.number, was.salt);
    const isOpen = was.ending === "tmp";
    let isDamaged: boolean;
    try {
      const found = scan(segment, statSync(path).size, isOpen || isNewest);
      if (found.isTorn) shelf.counts.torn++;
      // Its end may be lost: it was completed though it could not be brought to the disk.
      isDamaged = found.isDamaged || (isOpen && !isNewest);
      if (isOpen && sync !== "none") syncOther(shelf, segment);
    } finally {
      closeFile(segment);
    }
    // Of a clock that is behind what it was, nothing is known.
    segment.shift = elapsed() - Math.max(now(), segment.lastTime);
    insert(shelf, segment);
    if (!behindDamage.has(shelf)) noteMark(shelf, segment, false);
    if (isDamaged) behindDamage.add(shelf);
    return segment.waiting;
  }

  /** One of another owner, who may not have come to that, or in another place. */
  function syncOther({ counts }: Shelf, segment: Segment): void {
    try {
      syncFile(segment);
    } catch (error) {
      counts.unsynced++;
      failed(error);
    }
  }

  function syncAll(): void {
    const error = all.map(settle).find((error) => error !== undefined);
    if (error === undefined) return;
    failed(error);
    throw error;
  }

  try {
    adoptAll();
    for (const shelf of all) {
      dropOld(shelf, elapsed());
      makeRoom(0, shelf);
    }
    all.forEach(skipNumbers);
  } catch (error) {
    // Somebody else can have it, and it takes no room from others.
    for (const shelf of all) rivals.delete(shelf);
    owner.lock.release();
    throw error;
  }
  const timer = typeof sync === "number"
    ? setInterval(() => {
      try {
        syncAll();
      } catch {
        // It is counted.
      }
    }, sync)
    : undefined;
  timer?.unref();

  return {
    folder,
    budget,
    put: (signal, body, items, options) => put(signal, body, items, options),
    next,
    readError: (signal) =>
      shelves[signal].readError ?? adopted.find((file) => file.signal === signal)?.error,
    acknowledge: acknowledgeOne,
    giveBack,
    lastMark: (signal) => {
      const bytes = shelves[signal].mark?.bytes;
      return bytes !== undefined && bytes.length > 0 ? new Uint8Array(bytes) : null;
    },
    counts: {
      traces: shelves.traces.counts,
      metrics: shelves.metrics.counts,
      logs: shelves.logs.counts,
    },
    get lastError() {
      return lastError;
    },
    adopt: adoptAll,
    check,
    sync: syncAll,
    close() {
      if (isClosed) return;
      isClosed = true;
      clearInterval(timer);
      for (const shelf of all) rivals.delete(shelf);
      for (const shelf of all) {
        try {
          roll(shelf);
        } catch (error) {
          failed(error);
        }
        for (let segment = shelf.first; segment !== null; segment = segment.next) {
          closeFile(segment);
        }
        shelf.going.forEach(removePath);
        const { mark } = shelf;
        if (mark !== null && typeof mark.in !== "string" && mark.in.isGone) {
          saveMark(shelf, mark.in);
        }
      }
      owner.lock.release();
    },
  };
}
