import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { after, it } from "node:test";
import { lockFile, type Mapping } from "../../ffi/mod.ts";
import { temporaryDirectory } from "../../ffi/testdata/start.ts";
import { EXT_READER_HEARTBEAT, EXT_READER_PID } from "../format/layout.ts";
import { READER_SILENT_NS, watchReader } from "./attached.ts";
import { READER_SUFFIX } from "./places.ts";

const directory = temporaryDirectory();
after(() => directory.remove());

it("a reader is there while it holds its lock, or else while its heartbeat is of the last seconds", () => {
  const path = directory.at("file.otlp");
  writeFileSync(path, "");
  const memory = new ArrayBuffer(4096);
  const [i32, i64] = [new Int32Array(memory), new BigInt64Array(memory)];
  const isThere = (): boolean => watchReader({ path, i32, i64 } as unknown as Mapping)();
  const beat = (ago: bigint): void => {
    i64[EXT_READER_HEARTBEAT / 8] = BigInt(Date.now()) * 1_000_000n - ago;
  };
  beat(0n);
  assert.equal(isThere(), false, "nobody has come");
  i32[EXT_READER_PID / 4] = 1;
  // Nothing is at the place of its lock: it may have another name.
  assert.equal(isThere(), true, "a moment ago");
  beat(READER_SILENT_NS);
  assert.equal(isThere(), false, "silent for too long");
  // The clock was set back since: it would be there for as long as that.
  beat(-3_600_000_000_000n);
  assert.equal(isThere(), false, "of the future");
  const lock = lockFile(path + READER_SUFFIX);
  assert.ok("release" in lock);
  assert.equal(isThere(), true, "locked, whatever its heartbeat");
  beat(READER_SILENT_NS);
  assert.equal(isThere(), true, "locked, and suspended");
  lock.release();
});
