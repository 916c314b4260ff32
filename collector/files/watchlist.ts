/**
 * Paths that are not followed, and why: each is said once, and tried again when it has changed.
 *
 * @module
 */
import { closeSync, readSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { HEADER_BYTES } from "../../lib/format/layout.ts";
import { explainFault } from "../inspect/inspect.ts";
import type { Scan } from "./discover.ts";
import { openRegular } from "./regular.ts";
import { printable } from "../text/text.ts";

/** A file that is being made is a fault after this, milliseconds. */
const UNFINISHED_MS = 10_000;
/**
 * Paths of no use that are looked at again in one round, in turns: each costs a few system calls,
 * and of somebody else's files there may be thousands.
 */
const LOOKS = 256;

interface Watched {
  /** One of these decides when it is its turn. */
  readonly number: number;
  readonly reason: string;
  /** What the file looked like; null: try again each time. */
  readonly look: string | null;
  readonly since: number;
  readonly named: boolean;
  readonly unfinished: boolean;
  readonly unreadable: boolean;
}

/** The paths that are not followed. */
export class Watchlist {
  /** A file named on the command line cannot be read. */
  namedFault = false;
  /** Another reader has a file. */
  inUse = false;

  /** What was said of other users' files: users and directories. */
  private readonly strangers = new Set<string>();
  private readonly paths = new Map<string, Watched>();
  private rounds = 0;
  private added = 0;
  private readonly once: boolean;
  private readonly log: (level: "info" | "warn" | "error", message: string) => void;

  /**
   * @param once Nothing is waited for.
   * @param log Where reasons are said.
   */
  constructor(once: boolean, log: (level: "info" | "warn" | "error", message: string) => void) {
    this.once = once;
    this.log = log;
  }

  /** Files that are still being made. */
  get unfinished(): number {
    let count = 0;
    for (const watched of this.paths.values()) if (watched.unfinished) count++;
    return count;
  }

  /** A round of trying begins with what was found: what is not there any more is forgotten. */
  begin({ files, missing, refused }: Scan): void {
    this.rounds++;
    // A directory that can't be listed now may have the same files later.
    if (this.paths.size === 0 || missing.length > 0 || refused.length > 0) return;
    const found = new Set(files.map(({ path }) => path));
    for (const path of this.paths.keys()) if (!found.has(path)) this.paths.delete(path);
  }

  /** False for a path that is known to be of no use and looks as it did then. */
  isWorthTrying(path: string): boolean {
    const watched = this.paths.get(path);
    if (watched === undefined || watched.look === null) return true;
    const turns = Math.ceil(this.paths.size / LOOKS);
    return (this.rounds + watched.number) % turns === 0 && watched.look !== appearance(path);
  }

  /** It could be opened. */
  opened(path: string): void {
    if (this.paths.get(path)?.unreadable) this.log("info", `${printable(path)}: can be read now`);
    this.paths.delete(path);
  }

  /**
   * The system refuses it, which may pass. A fault when it was named and there is no more than a
   * first look.
   */
  unreadable(path: string, named: boolean, message: string): void {
    if (named && (this.once || this.rounds === 1)) return this.faulty(path, named, message);
    if (this.paths.get(path)?.reason !== message) this.log("warn", `skipped: ${message}`);
    this.add(path, named, message, null, false, 0, true);
  }

  /** It cannot be read: `message` names file and field. */
  faulty(path: string, named: boolean, message: string): void {
    this.add(path, named, message, appearance(path), false, 0);
    if (named) {
      this.log("error", message);
      this.namedFault = true;
    } else this.log("warn", `skipped: ${message}`);
  }

  /** It belongs to another user. Of files that were found, the first in each directory is named. */
  foreignFile(path: string, named: boolean, uid: number): void {
    const message =
      `${printable(path)} belongs to user ${uid}: it is read with --other-users only` +
      (named ? "" : ", as others of that user there");
    if (named) return this.faulty(path, named, message);
    this.add(path, named, message, appearance(path), false, 0);
    const where = `${uid} ${dirname(path)}`;
    if (this.strangers.has(where)) return;
    this.strangers.add(where);
    this.log("warn", `skipped: ${message}`);
  }

  /** It is still being made. */
  unfinishedFile(path: string, named: boolean, reason: string, now: number): void {
    const since = this.paths.get(path)?.since ?? now;
    this.add(path, named, reason, null, true, since);
    if (!this.once && now - since > UNFINISHED_MS) {
      this.faulty(path, named, explainFault(path, reason));
    }
  }

  /** Nothing is waited for any longer. */
  giveUp(): void {
    for (const [path, { unfinished, named, reason }] of [...this.paths]) {
      if (unfinished) this.faulty(path, named, explainFault(path, reason));
    }
  }

  /** Another reader has it. */
  heldFile(path: string, pid: number | null): void {
    const reason = `${printable(path)}: is read by ${
      pid === null ? "another collector" : `another collector, process ${pid}`
    }${this.once ? "" : "; waiting for it to end"}`;
    if (this.paths.get(path)?.reason !== reason) this.log(this.once ? "error" : "warn", reason);
    this.add(path, false, reason, null, false, 0);
    this.inUse = true;
  }

  /** It was read to its end. With `again` it is opened anew. */
  finished(path: string, again: boolean): void {
    if (again) this.paths.delete(path);
    else this.add(path, false, "finished", appearance(path), false, 0);
  }

  private add(
    path: string,
    named: boolean,
    reason: string,
    look: string | null,
    unfinished: boolean,
    since: number,
    unreadable = false,
  ): void {
    const number = this.paths.get(path)?.number ?? this.added++;
    this.paths.set(path, { number, reason, look, since, named, unfinished, unreadable });
  }
}

/** Something that differs when there is another file, or the file was made anew in place. */
function appearance(path: string): string | null {
  try {
    const { ino, size } = statSync(path);
    const header = new Uint8Array(HEADER_BYTES);
    const fd = openRegular(path);
    try {
      readSync(fd, header, 0, HEADER_BYTES, 0);
    } finally {
      closeSync(fd);
    }
    return `${ino} ${size} ${header.join()}`;
  } catch (error) {
    return (error as { code?: string }).code ?? null;
  }
}

/** What is said about a file that cannot be opened; null for one that is not there any more. */
export function explainOpenFailure(path: string, error: Error & { code: string }): string | null {
  if (error.code === "ENOENT") return null;
  return error.message.includes(path) ? error.message : `${path}: ${error.message}`;
}

/** True when not the file is at fault, and any other could be opened as little now. */
export function isShortage({ code }: { readonly code: string }): boolean {
  return SHORTAGES.has(code);
}

const SHORTAGES = new Set(["EMFILE", "ENFILE", "ENOMEM", "ENOSPC", "EDQUOT", "ENOLCK"]);
