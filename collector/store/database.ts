/**
 * The database file: opened by one writer at a time and by any number of readers.
 *
 * @module
 */
import { closeSync, existsSync, mkdirSync, openSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type HeldLock, lockFile } from "../../ffi/mod.ts";
import { APPLICATION_ID, migrate, VERSION } from "./schema.ts";

/** Why a store can't be used. The message says which, why, and what to do. */
export class StoreError extends Error {
  override readonly name = "StoreError";
}

/** SQLite's result codes that are told apart. */
export const SQLITE = { busy: 5, full: 13, corrupt: 11, notADatabase: 26, io: 10 } as const;

/** SQLite's primary result code of an error; 0 when it is none of SQLite's. */
export function sqliteCode(error: unknown): number {
  const { errcode } = error as { errcode?: unknown };
  return typeof errcode === "number" ? errcode & 0xff : 0;
}

/** A database opened for writing. */
export interface WritableDatabase {
  readonly db: DatabaseSync;
  /** Closes it, and lets others write. */
  close(): void;
}

/**
 * Opens the database of a store for writing, makes it where there is none, and brings an older one to
 * the present version.
 *
 * @throws StoreError when another collector has it, it is newer, damaged, or not ours.
 */
export function openForWriting(path: string): WritableDatabase {
  let lock: HeldLock | null = null;
  let db: DatabaseSync | null = null;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const held = lockFile(`${path}.lock`);
    if ("heldBy" in held) {
      const who = held.heldBy === null ? "another process" : `process ${held.heldBy}`;
      throw new StoreError(
        `the store ${path} is used by ${who}: end that collector, or name another file with --store`,
      );
    }
    lock = held;
    // Telemetry is nobody else's business. SQLite gives its other files the same mode.
    closeSync(openSync(path, "a", 0o600));
    db = new DatabaseSync(path);
    const version = checkVersion(db, path, statSync(path).size === 0);
    if (version === 0) db.exec("PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL");
    // NORMAL: what is committed survives the end of the process at any point; of a power cut it
    // survives but for the last seconds.
    db.exec(`
      PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 5000;
      PRAGMA cache_size = -65536; PRAGMA journal_size_limit = 67108864;
      PRAGMA wal_autocheckpoint = 2000; PRAGMA temp_store = MEMORY
    `);
    migrate(db, version);
    makeShrinkable(db);
    const opened = db;
    return {
      db,
      close() {
        opened.close();
        held.release();
      },
    };
  } catch (error) {
    db?.close();
    lock?.release();
    throw explain(error, path);
  }
}

/**
 * Opens it for reading only, beside a collector that writes or without one.
 *
 * @throws StoreError when there is none, or it can't be read.
 */
export function openForReading(path: string): DatabaseSync {
  if (!existsSync(path)) {
    throw new StoreError(
      `there is no store ${path}: name its file, or start a collector with --store`,
    );
  }
  let db: DatabaseSync | null = null;
  try {
    db = new DatabaseSync(path, { readOnly: true });
    const version = checkVersion(db, path, false);
    if (version < VERSION) {
      throw new StoreError(
        `the store ${path} is of an older version (${version}, this program reads ${VERSION}): ` +
          "start a collector with it once, which brings it up to date",
      );
    }
    db.exec("PRAGMA query_only = ON; PRAGMA busy_timeout = 5000; PRAGMA cache_size = -32768");
    return db;
  } catch (error) {
    db?.close();
    throw explain(error, path);
  }
}

/** A database up to so many bytes is written anew in less than a second. */
const MAX_REWRITTEN = 64 << 20;

/**
 * Lets a database that was made without it give pages back, which takes writing it anew: not a large
 * one, since records wait meanwhile. That stays as it is until somebody does it by hand (VACUUM).
 */
function makeShrinkable(db: DatabaseSync): void {
  if (pragma(db, "auto_vacuum") !== 0) return;
  if (pragma(db, "page_count") * pragma(db, "page_size") > MAX_REWRITTEN) return;
  try {
    db.exec("PRAGMA auto_vacuum = INCREMENTAL; VACUUM");
  } catch {
    // The disk is full, or somebody reads for long: another start tries it again.
  }
}

/** What a pragma of one number says. */
export function pragma(db: DatabaseSync, name: string): number {
  return Number(Object.values(db.prepare(`PRAGMA ${name}`).get() as object)[0]);
}

/** Its version, 0 for one without content. */
function checkVersion(db: DatabaseSync, path: string, empty: boolean): number {
  if (empty) return 0;
  const version = pragma(db, "user_version");
  // Made by a process that was killed before it came to the first migration.
  const tables = Number(
    (db.prepare("SELECT count(*) AS n FROM sqlite_schema").get() as { n: number }).n,
  );
  if (version === 0 && tables === 0) return 0;
  if (pragma(db, "application_id") !== APPLICATION_ID) {
    throw new StoreError(
      `${path} is a database of another program: it was left as it is; name another file with --store`,
    );
  }
  if (version > VERSION) {
    throw new StoreError(
      `the store ${path} was written by a newer version of this program (its version is ${version}, ` +
        `this program knows ${VERSION}): it was left as it is; use that program, or name another ` +
        "file with --store",
    );
  }
  return version;
}

/** The error of SQLite or the file system in words; others as they are. */
function explain(error: unknown, path: string): Error {
  if (error instanceof StoreError) return error;
  const { message } = error as Error;
  const code = sqliteCode(error);
  if (code === SQLITE.corrupt || code === SQLITE.notADatabase) {
    return new StoreError(
      `the store ${path} is damaged, or no database (${message}): it was left as it is; move it ` +
        "away, or name another file with --store, and start again. What applications record stays " +
        "in their files until then",
    );
  }
  // SQLite has "disk I/O error" for it.
  const why = statSync(path, { throwIfNoEntry: false })?.isDirectory()
    ? "it is a directory: name a file in it"
    : message;
  return new StoreError(`the store ${path} can't be opened: ${why}`);
}
