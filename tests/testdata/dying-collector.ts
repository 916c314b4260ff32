/**
 * tests/testdata/journaled-collector.ts, which kills itself at one of its stores that others can see:
 * two arguments, the JSON of its options and of Death. Everything it stores through goes through
 * here, since it is imported last.
 */
import { createRequire, syncBuiltinESMExports } from "node:module";
import process from "node:process";

/** Where it dies. */
export interface Death {
  readonly store: StoreName;
  readonly when: "before" | "half" | "after" | "full";
  /** At which of these, from 1 on. */
  readonly count: number;
  /** With `full` it does not die: as long as this file is there, the disk is full at half of it. */
  readonly full?: string;
}

/** What others can see: files by what is done to them, and slots. */
export type StoreName =
  | "journal written"
  | "checkpoint begun"
  | "checkpoint written"
  | "checkpoint named"
  | "older journal removed"
  | "torn end cut off"
  | "request stored"
  | "slots released"
  | "file removed";

const death = JSON.parse(process.argv[3]) as Death;
// deno-lint-ignore no-explicit-any -- functions with overloads, passed on as they are called
type Any = any;
const fs: Record<string, (...args: Any[]) => Any> = createRequire(import.meta.url)("node:fs");
const paths = new Map<number, string>();
let left = death.count;

function die(): void {
  process.kill(process.pid, "SIGKILL");
  // The signal may take a moment.
  for (;;);
}

/** Does it, or dies before or after. `half` does a part of it. */
function at<T>(store: StoreName | null, whole: () => T, half: () => void = die): T {
  if (store !== death.store) return whole();
  if (death.when === "full") {
    if (!fs.existsSync(death.full)) return whole();
    half();
    throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
  }
  if (--left > 0) return whole();
  if (death.when === "before") die();
  if (death.when === "half") {
    half();
    die();
  }
  const result = whole();
  die();
  return result;
}

function nameOf(fd: number): StoreName | null {
  const path = paths.get(fd) ?? "";
  if (path.endsWith(".journal.tmp")) return "checkpoint written";
  // Its name was given to what is open.
  if (path.endsWith(".journal")) return "journal written";
  return /\/(traces|metrics|logs)\//.test(path) ? "request stored" : null;
}

const { openSync, renameSync, unlinkSync, ftruncateSync } = fs;
fs.openSync = (path: string, ...rest: Any[]) =>
  at(String(path).endsWith(".journal.tmp") ? "checkpoint begun" : null, () => {
    const fd = openSync(path, ...rest);
    paths.set(fd, String(path));
    return fd;
  });
for (const name of ["writeSync", "writevSync"]) {
  const write = fs[name];
  fs[name] = (fd: number, bytes: Any, ...rest: Any[]) =>
    at(nameOf(fd), () => write(fd, bytes, ...rest), () => {
      if (name === "writeSync") write(fd, bytes, rest[0], rest[1] >> 1, rest[2]);
      else write(fd, bytes.slice(0, 1), ...rest);
    });
}
fs.renameSync = (from: string, to: string) =>
  at(from.endsWith(".journal.tmp") ? "checkpoint named" : null, () => {
    renameSync(from, to);
    for (const [fd, path] of paths) if (path === from) paths.set(fd, to);
  });
fs.unlinkSync = (path: string) =>
  at(
    path.endsWith(".journal")
      ? "older journal removed"
      : path.endsWith(".otlp")
      ? "file removed"
      : null,
    () => unlinkSync(path),
  );
fs.ftruncateSync = (fd: number, length: number) =>
  at("torn end cut off", () => ftruncateSync(fd, length));
const { store } = Atomics;
(Atomics as Any).store = (array: Any, index: number, value: Any) =>
  at(
    array instanceof BigInt64Array && value < 2n ** 32n ? "slots released" : null,
    () => store(array, index, value),
  );
syncBuiltinESMExports();

await import("./journaled-collector.ts");
