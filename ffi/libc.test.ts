import assert from "node:assert/strict";
import fs from "node:fs";
import process from "node:process";
import { after, describe, it } from "node:test";
import { closeFile, createTemporary, writeZeros } from "./file.ts";
import { bindOldGlibc, cString } from "./libc.ts";
import { runtime } from "./mod.ts";
import { STAT_BYTES, STAT_INO, STAT_SIZE } from "./symbols.ts";
import { commandLine, output, temporaryDirectory } from "./testdata/start.ts";

const directory = temporaryDirectory();
after(() => directory.remove());

const hasGlibc = process.platform === "linux" &&
  !fs.readdirSync("/lib").some((name) => name.startsWith("ld-musl"));

describe("runtime", () => {
  it("is this one", () => {
    assert.equal(runtime.name, process.versions.bun === undefined ? "deno" : "bun");
    assert.equal(runtime.code, runtime.name === "deno" ? 1 : 2);
    assert.equal(runtime.supported, true);
    assert.equal(runtime.reason, undefined);
  });

  interface Said {
    runtime: { supported: boolean; reason: string };
    seconds: number;
    [call: string]: unknown;
  }

  function expectRefusal(said: Said, reason: RegExp): void {
    assert.equal(said.runtime.supported, false);
    assert.match(said.runtime.reason, reason);
    assert.ok(Math.abs(said.seconds - Date.now() / 1000) < 60);
    for (const call of ["create", "open", "lockFile", "isLocked", "processIsAlive", "mappedBy"]) {
      assert.match(String(said[call]), /^ENOSYS .*: ENOSYS, cannot map files here: /, call);
      assert.match(String(said[call]), reason, call);
    }
    assert.equal(said.processStartTime, null);
    assert.equal(said.userId, null);
  }

  it("on another system: imports, says why, and every call throws that", () => {
    const said = JSON.parse(output([...commandLine("unsupported.ts"), "win32"])) as Said;
    expectRefusal(said, /needs Linux or macOS: win32 is not supported/);
  });

  if (runtime.name === "deno") {
    it("without the permission: the same", () => {
      // With no permission named at all, node:child_process on Deno would put -A in.
      const line = commandLine("unsupported.ts", "--no-prompt", "--allow-read");
      const said = JSON.parse(output(line)) as Said;
      expectRefusal(said, /permission denied: needs --allow-ffi/);
    });
  }
});

it("old glibc's stat gives the same answers", {
  skip: !hasGlibc && "needs glibc",
}, async () => {
  const adapter = runtime.name === "bun" ? await import("./bun.ts") : await import("./deno.ts");
  const old = bindOldGlibc(adapter);
  const path = directory.at("stat");
  fs.writeFileSync(path, "12345");
  const { ino } = fs.statSync(path, { bigint: true });
  const fd = old.open(cString(path), 0);
  for (
    const call of [
      (b: Uint8Array) => old.stat(cString(path), b),
      (b: Uint8Array) => old.fstat(fd, b),
    ]
  ) {
    const status = new DataView(new ArrayBuffer(STAT_BYTES));
    assert.equal(call(new Uint8Array(status.buffer)), 0);
    assert.equal(status.getBigUint64(STAT_INO, true), ino);
    assert.equal(status.getBigInt64(STAT_SIZE, true), 5n);
  }
  old.close(fd);
});

it("writeZeros extends a file from where it ended, to the byte", () => {
  const { fd, temporary } = createTemporary(directory.at("zeros"));
  fs.writeFileSync(temporary, "begin");
  writeZeros(fd, temporary, 5, 200_001);
  closeFile(fd);
  const content = fs.readFileSync(temporary);
  assert.equal(content.length, 200_001);
  assert.equal(content.toString("utf8", 0, 5), "begin");
  assert.ok(content.subarray(5).every((byte) => byte === 0));
});
