import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import process from "node:process";
import { after, describe, it } from "node:test";
import { handlerCode } from "./bus-handler.ts";
import { busErrors, Mapping } from "./mod.ts";
import { commandLine, temporaryDirectory } from "./testdata/start.ts";

const directory = temporaryDirectory();
after(() => directory.remove());

const BYTES = 1 << 20;
let files = 0;

function touch(how: string): { status: number | null; signal: string | null; out: string } {
  const file = directory.at(`${files++}`);
  fs.writeFileSync(file, new Uint8Array(BYTES).fill(9));
  const [command, ...args] = [...commandLine("bus-error.ts"), file, how];
  const { status, signal, stdout, stderr } = spawnSync(command, args, { encoding: "utf8" });
  return { status, signal, out: `${stdout}${stderr}` };
}

process.platform === "linux" && describe("containBusErrors", () => {
  it("replaces pages that are gone, and counts them for their mapping", () => {
    const { status, out } = touch("guarded");
    assert.equal(status, 0, out);
    assert.deepEqual(JSON.parse(out), {
      contained: null,
      again: null,
      read: 0,
      faults: 1,
      swapped: 0,
      stored: 7,
      after: 2,
      grown: 7,
      fresh: 5,
      others: 0,
      all: 2,
    });
  });

  for (const how of ["unguarded", "closed"]) {
    it(`leaves a bus error as it was where the mapping is ${how}`, () => {
      const { status, signal, out } = touch(how);
      assert.notEqual(status, 0, out);
      // Through a shell of the runtime it may be a status, and Bun ends by SIGILL or SIGTRAP itself.
      assert.ok(signal !== null || (status !== null && status >= 128), `${status} ${signal}`);
      assert.doesNotMatch(out, /"faults"/);
    });
  }

  it("is asked for: a library changes nothing for the process", () => {
    const file = directory.at("asked");
    fs.writeFileSync(file, new Uint8Array(BYTES));
    const mapping = Mapping.open(file, { guarded: true });
    assert.deepEqual([mapping.faults, busErrors()], [0, 0]);
    mapping.close();
  });
});

it("has code for the processors there are binaries for", () => {
  for (const arch of ["x64", "arm64"]) {
    const { bytes, table } = handlerCode(arch)!;
    assert.deepEqual([...bytes.subarray(table, table + 8)], [0, 0, 0, 0, 0, 0, 0, 0]);
  }
  assert.equal(handlerCode("riscv64"), null);
});
