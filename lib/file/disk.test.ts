import assert from "node:assert/strict";
import process from "node:process";
import { describe, it } from "node:test";
import { notADisk, whyNoDisk } from "./disk.ts";

describe("a place that keeps nothing over a loss of power", () => {
  it("is one in memory, or on another machine", () => {
    assert.equal(notADisk(0x01021994), "it is in memory (tmpfs)");
    // As a runtime gives it that has it in 32 bits.
    assert.equal(notADisk(0x858458f6 | 0), "it is in memory (ramfs)");
    assert.equal(notADisk(0x6969), "it may be on another machine (NFS)");
    assert.equal(notADisk(0xff534d42), "it may be on another machine (CIFS)");
    // ext4, XFS, Btrfs, overlayfs.
    for (const type of [0xef53, 0x58465342, 0x9123683e, 0x794c7630]) {
      assert.equal(notADisk(type), null);
    }
  });

  it("is asked for its type", () => {
    const reason = whyNoDisk("/nowhere/at/all");
    assert.match(reason!, process.platform === "linux" ? /ENOENT|no such/i : /can't be known/);
    if (process.platform !== "linux") return;
    assert.equal(whyNoDisk("/dev/shm"), "it is in memory (tmpfs)");
  });
});
