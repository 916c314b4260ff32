/**
 * Is a place on a disk of this machine? What is to survive a loss of power must be.
 *
 * @module
 */
import { statfsSync } from "node:fs";
import process from "node:process";

/** Types of file systems by the number that statfs(2) gives (linux/magic.h). */
const MEMORY: ReadonlyMap<number, string> = new Map([
  [0x01021994, "tmpfs"],
  [0x858458f6, "ramfs"],
  [0x958458f6, "hugetlbfs"],
]);
const NETWORK: ReadonlyMap<number, string> = new Map([
  [0x6969, "NFS"],
  [0xff534d42, "CIFS"],
  [0xfe534d42, "SMB"],
  [0x517b, "SMB"],
  [0x00c36400, "Ceph"],
  [0x5346414f, "AFS"],
  [0x01021997, "9p"],
  [0x0bd00bd0, "Lustre"],
  [0x65735546, "FUSE"],
]);

/**
 * Why a file system of this type keeps nothing over a loss of power, or can't be known to; null for a
 * disk. FUSE is among them since it may be anything.
 */
export function notADisk(type: number): string | null {
  // Signed where the type does not fit 31 bits, by runtime.
  const number = type >>> 0;
  const memory = MEMORY.get(number);
  if (memory !== undefined) return `it is in memory (${memory})`;
  const network = NETWORK.get(number);
  return network === undefined ? null : `it may be on another machine (${network})`;
}

/** The same of a directory that exists; also a reason where it can't be asked. */
export function whyNoDisk(directory: string): string | null {
  if (process.platform !== "linux") return `it can't be known to be a disk on ${process.platform}`;
  try {
    return notADisk(statfsSync(directory).type);
  } catch (error) {
    return `its file system can't be asked for its type (${(error as Error).message})`;
  }
}
