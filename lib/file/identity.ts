/**
 * Who writes a file: the process, told apart from every other one, and the thread within it.
 *
 * @module
 */
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { Buffer } from "node:buffer";
import process from "node:process";
import { processStartTicks, processStartTime, threadNumber } from "../../ffi/mod.ts";
import { UID_BYTES } from "../format/layout.ts";
import { randomBytes } from "./random.ts";

/** Where Workers find the uid on systems that can't say when a process started. */
const ENVIRONMENT_NAME = "OTLP_MMAP_PROCESS_UID";

/** The owner of files. */
export interface Identity {
  /** 16 bytes, the same in every isolate of this process and in no other process. */
  readonly processUid: Uint8Array;
  /** Process id. */
  readonly pid: number;
  /** 0 for the main thread, the thread's number for a Worker. */
  readonly isolate: number;
  /** When the process started, ns since the Unix epoch; when this was asked where unknown. */
  readonly startTime: bigint;
}

/** The identity of this isolate. */
export function identity(): Identity {
  const started = attempt(() => processStartTime(process.pid)) ?? null;
  const ticks = attempt(() => processStartTicks(process.pid)) ?? null;
  return {
    processUid: ticks === null ? sharedRandomUid() : derivedUid(ticks),
    pid: process.pid,
    isolate: threadNumber(),
    startTime: started ?? BigInt(Date.now()) * 1_000_000n,
  };
}

/**
 * Isolates share nothing at first, so each derives the uid from what the system says of the
 * process: no two processes of a boot have the same id, start and id namespace.
 */
function derivedUid(ticks: bigint): Uint8Array {
  const parts = [
    attempt(hostname),
    attempt(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8")),
    attempt(() => readlinkSync("/proc/self/ns/pid")),
    process.pid,
    // Not the time of the start: that changes when the clock is set.
    ticks,
  ];
  return mixed(parts.join("|"));
}

/** UID_BYTES in which every character of a text counts. SHA-256 would take 12 ms on Bun, to load. */
function mixed(text: string): Uint8Array {
  const words = new Uint32Array(UID_BYTES / 4).map((_, lane) => 0x9e3779b1 * (lane + 1));
  for (let i = 0; i < text.length; i++) {
    for (let lane = 0; lane < words.length; lane++) {
      // Each lane multiplies by another odd number, and is mixed with the one before.
      const word = Math.imul(words[lane] ^ text.charCodeAt(i), 0x85ebca6b + 2 * lane);
      words[lane] = (word ^ (word >>> 15)) + words[(lane + 3) % words.length];
    }
  }
  return new Uint8Array(words.buffer);
}

/** Random, handed to Workers through the environment; a child process has another pid. */
function sharedRandomUid(): Uint8Array {
  const [pid, hex] = (attempt(() => process.env[ENVIRONMENT_NAME]) ?? "").split(":");
  if (pid === String(process.pid) && /^[0-9a-f]{32}$/.test(hex ?? "")) {
    return new Uint8Array(Buffer.from(hex, "hex"));
  }
  const uid = randomBytes(UID_BYTES);
  attempt(() => {
    process.env[ENVIRONMENT_NAME] = `${process.pid}:${Buffer.from(uid).toString("hex")}`;
  });
  return uid;
}

/** undefined where it is not permitted or not there. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
