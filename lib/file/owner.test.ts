import assert from "node:assert/strict";
import { renameSync, unlinkSync, writeFileSync } from "node:fs";
import process from "node:process";
import { after, it } from "node:test";
import { startChild, temporaryDirectory } from "../../ffi/testdata/start.ts";
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
