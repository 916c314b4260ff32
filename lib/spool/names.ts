/**
 * What the files of a spool are called. Their names say everything about them that is not in a record,
 * so that no damage to their content can lose it.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import process from "node:process";

/** The signals; each has a folder of that name. */
export type SpoolSignal = "traces" | "metrics" | "logs";
/** All of them. */
export const SPOOL_SIGNALS: readonly SpoolSignal[] = ["traces", "metrics", "logs"];

/** Ending of a segment that is written, of one that is complete, and of a mark. */
export type Ending = "tmp" | "seg" | "mark";
/** Ending of the file that an owner holds locked for as long as it lives. */
export const LOCK_ENDING = ".lock";
/** Ending of a mark that is not whole yet. */
export const UNFINISHED_ENDING = ".new";

/** What the name of a segment or a mark says. */
export interface Name {
  /** Counted up for each file of the folder: the order of storing, whatever the clock says. */
  readonly number: number;
  /** What checksums of headers begin with: an unsigned 32-bit number. */
  readonly salt: number;
  /** Whose it is: see {@linkcode newOwner}. */
  readonly owner: string;
  readonly ending: Ending;
}

/** A name for an owner that nobody had before: the process, and 32 random bits. */
export function newOwner(): string {
  return `${process.pid}-${randomBytes(4).toString("hex")}`;
}

/** A random salt. */
export function newSalt(): number {
  return randomBytes(4).readUInt32LE();
}

/** `<number>-<salt>.<owner>.<ending>`; numbers have leading zeros, so that a listing is in order. */
export function formatName({ number, salt, owner, ending }: Name): string {
  const digits = String(number).padStart(12, "0");
  return `${digits}-${salt.toString(16).padStart(8, "0")}.${owner}.${ending}`;
}

const PATTERN = /^(\d{12,15})-([0-9a-f]{8})\.(\d+-[0-9a-f]{8})\.(tmp|seg|mark)$/;

/** What a name says; null for a file that is none of ours. */
export function parseName(name: string): Name | null {
  const match = PATTERN.exec(name);
  if (match === null) return null;
  return {
    number: Number(match[1]),
    salt: parseInt(match[2], 16),
    owner: match[3],
    ending: match[4] as Ending,
  };
}

const OWNER_PATTERN = /^\d+-[0-9a-f]{8}$/;

/** Whose file with that ending it is; null for another file. */
export function ownerOf(name: string, ending: string): string | null {
  const owner = name.slice(0, -ending.length);
  return name.endsWith(ending) && OWNER_PATTERN.test(owner) ? owner : null;
}
