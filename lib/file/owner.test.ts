import assert from "node:assert/strict";
import { renameSync, unlinkSync, writeFileSync } from "node:fs";
import process from "node:process";
import { after, it } from "node:test";
import { startChild, temporaryDirectory } from "../../ffi/testdata/start.ts";
import { EXT_STATE, HEADER_TIME, STATE_CLEAN, STATE_OPEN } from "../format/layout.ts";
import type { Extension } from "./extension.ts";
import { MappedFile } from "./mapped.ts";
import { type OwnerState, ownerState } from "./owner.ts";

const directory = temporaryDirectory();
after(() => directory.remove());

it("a foreign writer is there while a process has its file mapped, whatever its name", {
  skip: process.platform !== "linux" && "needs /proc",
}, async () => {
  const path = directory.at("foreign.otlp");
  writeFileSync(path, new Uint8Array(4096));
  const writer = await startChild();
  const file = MappedFile.open(path);
  const state = (): OwnerState => ownerState(path, file, null, 0n);
  try {
    assert.equal(state(), "dead");
    await writer.ask({ op: "open", path });
    assert.equal(state(), "writing");
    renameSync(path, directory.at("other.otlp"));
    assert.equal(state(), "writing");
    unlinkSync(directory.at("other.otlp"));
    assert.equal(state(), "writing");
    await writer.stop("kill");
    assert.equal(state(), "dead");
  } finally {
    file.close();
    await writer.stop("kill");
  }
});

it("an owner that shuts down between the two looks has done so in order", () => {
  const path = directory.at("between.otlp");
  writeFileSync(path, new Uint8Array(4096));
  const file = MappedFile.open(path);
  const extension = { ownerLocks: true } as Extension;
  const { mapping } = file;
  // Asked before it is looked at the lock, which nobody holds.
  let state = STATE_OPEN;
  mapping.isAtPath = () => {
    Atomics.store(mapping.i32, EXT_STATE / 4, state);
    return true;
  };
  assert.equal(ownerState(path, file, extension, 0n), "dead");
  state = STATE_CLEAN;
  assert.equal(ownerState(path, file, extension, 0n), "clean");
  file.close();
});

it("a foreign file that is overwritten in place is another one, whoever has it mapped", {
  skip: process.platform !== "linux" && "needs /proc",
}, async () => {
  const path = directory.at("anew.otlp");
  const bytes = new Uint8Array(4096);
  writeFileSync(path, bytes);
  const writer = await startChild();
  const file = MappedFile.open(path);
  try {
    await writer.ask({ op: "open", path });
    assert.equal(ownerState(path, file, null, 0n), "writing");
    new DataView(bytes.buffer).setBigUint64(HEADER_TIME, 7n, true);
    writeFileSync(path, bytes, { flag: "r+" });
    assert.equal(ownerState(path, file, null, 0n), "replaced");
    assert.equal(ownerState(path, file, null, 7n), "writing");
    await writer.stop("kill");
    assert.equal(ownerState(path, file, null, 0n), "replaced");
  } finally {
    file.close();
    await writer.stop("kill");
  }
});
