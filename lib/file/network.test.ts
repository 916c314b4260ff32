import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import process from "node:process";
import { describe, it } from "node:test";
import { networkName, networkProblem } from "./network.ts";

describe("network file systems", () => {
  it("are known by their type, whatever its sign", () => {
    assert.equal(networkName(0x6969), "NFS");
    assert.equal(networkName(0xff534d42), "CIFS");
    assert.equal(networkName(0xff534d42 | 0), "CIFS");
    // tmpfs, ext4, overlay
    for (const type of [0x01021994, 0xef53, 0x794c7630]) assert.equal(networkName(type), null);
  });

  it("are not where a path is not there, or may not be looked at", () => {
    assert.equal(networkProblem("/does/not/exist"), null);
  });

  if (process.platform === "linux") {
    it("are said with what to do", () => {
      assert.match(
        networkProblem("/mnt/share", () => 0x6969)!,
        /^\/mnt\/share is on a network file system \(NFS\): .*OTLP_MMAP_DIR$/,
      );
      assert.equal(networkProblem("/dev/shm", () => 0x01021994), null);
    });

    it("are not where the types of this machine say otherwise", () => {
      assert.equal(networkProblem("/proc"), null);
      assert.equal(networkProblem(tmpdir(), () => Number.NaN), null);
    });
  }
});
