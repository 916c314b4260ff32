/**
 * Is a directory on another machine? Memory that two machines map is not one memory, and the locks by
 * which a dead writer is known do not reach from one to the other.
 *
 * @module
 */
import { statfsSync } from "node:fs";
import process from "node:process";

/** What statfs(2) calls them, by type (Linux, linux/magic.h and the file systems' own headers). */
const NETWORK_TYPES: ReadonlyMap<number, string> = new Map([
  [0x6969, "NFS"],
  [0x517b, "SMB"],
  [0xff534d42, "CIFS"],
  [0xfe534d42, "SMB 2"],
  [0x5346414f, "AFS"],
  [0x6b414653, "AFS"],
  [0x73757245, "Coda"],
  [0x00c36400, "Ceph"],
  [0x01021997, "9P"],
  [0x564c, "NCP"],
  [0x0bd00bd0, "Lustre"],
  [0x01161970, "GFS2"],
  [0x7461636f, "OCFS2"],
  [0x47504653, "GPFS"],
]);

/** The name of a file system of other machines by its type, as statfs has it; null for any other. */
export function networkName(type: number): string | null {
  // Some runtimes give the word with its sign.
  return NETWORK_TYPES.get(type >>> 0) ?? null;
}

/**
 * What to say of a path that is on a file system of another machine; null where it is not, or where
 * that can't be known (macOS numbers them anew at each mount).
 *
 * @param typeOf Asks for the type of the file system of a path.
 */
export function networkProblem(
  path: string,
  typeOf: (path: string) => number = (at) => Number(statfsSync(at).type),
): string | null {
  if (process.platform !== "linux") return null;
  let name: string | null;
  try {
    name = networkName(typeOf(path));
  } catch {
    // It is not there, or this may not be asked.
    return null;
  }
  return name === null
    ? null
    : `${path} is on a network file system (${name}): a collector on another machine does not see ` +
      "what is written here, and its locks may not tell that a writer is dead; choose a local " +
      "directory, in memory best (/dev/shm), with OTLP_MMAP_DIR";
}
