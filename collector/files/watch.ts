/**
 * Notices new files at once where the system tells of them (inotify, kqueue, FSEvents): looking again
 * and again finds them as well, but later. Nothing depends on it.
 *
 * @module
 */
import { type FSWatcher, statSync, watch } from "node:fs";
import { join } from "node:path";
import { isFileName } from "../../lib/file/places.ts";

/** Directories that are watched at most: systems have few watches to give. */
const MAX_WATCHED = 64;

/** Watches directories. */
export interface Watching {
  /** Watches these directories, as they are now, and no others. Called after each look at them. */
  aim(directories: readonly string[]): void;
  /** Ends it. */
  close(): void;
}

interface Watched {
  /** Another directory may have got the name. */
  readonly identity: string;
  /** Null where watching was refused, which is not tried again. */
  readonly watcher: FSWatcher | null;
}

/** @param onNew Called when a file with a name of ours has appeared in one of the directories. */
export function createWatching(onNew: () => void): Watching {
  const watched = new Map<string, Watched>();

  function open(directory: string): FSWatcher | null {
    try {
      const watcher = watch(directory, { persistent: false }, (event, name) => {
        // Names that went away, ours to remove or not, are no reason to look.
        if (event === "rename" && typeof name === "string" && isFileName(name)) {
          if (identityOf(join(directory, name)) !== null) onNew();
        }
      });
      // What it was about is seen at the next look.
      watcher.on("error", () => watcher.close());
      return watcher;
    } catch {
      return null;
    }
  }

  return {
    aim(directories): void {
      for (const [directory, { watcher }] of watched) {
        if (directories.includes(directory)) continue;
        watcher?.close();
        watched.delete(directory);
      }
      for (const directory of directories.slice(0, MAX_WATCHED)) {
        const identity = identityOf(directory);
        const known = watched.get(directory);
        if (identity === known?.identity) continue;
        if (known !== undefined) {
          // Deno ends a watch a while later, and with it one of the same path that is begun before.
          known.watcher?.close();
          watched.delete(directory);
        } else if (identity !== null) {
          watched.set(directory, { identity, watcher: open(directory) });
        }
      }
    },
    close(): void {
      for (const { watcher } of watched.values()) watcher?.close();
      watched.clear();
    },
  };
}

function identityOf(path: string): string | null {
  try {
    const { dev, ino, birthtimeMs } = statSync(path);
    // A directory made anew may have the number of the one before.
    return `${dev}:${ino}:${birthtimeMs}`;
  } catch {
    return null;
  }
}
