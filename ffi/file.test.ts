import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { openIfExists, unlinkFile } from "./file.ts";
import { cString, libc } from "./libc.ts";
import { Mapping, processIsAlive } from "./mod.ts";
import type { Libc } from "./symbols.ts";
import { temporaryDirectory } from "./testdata/start.ts";

const directory = temporaryDirectory();
after(() => directory.remove());

/** `act` while `call` is in place of one of libc's functions. */
function withCall<T>(name: keyof Libc, call: (...args: never[]) => number, act: () => T): T {
  const calls = libc as unknown as Record<string, unknown>;
  const real = calls[name];
  calls[name] = call;
  try {
    return act();
  } finally {
    calls[name] = real;
  }
}

/** The first time it fails, another call fails behind it (EBADF), as one of the runtime's may. */
function overwritten<A extends unknown[]>(call: (...args: A) => number): (...args: A) => number {
  let first = true;
  return (...args) => {
    const result = call(...args);
    if (result === -1 && first) {
      first = false;
      assert.equal(libc.close(-1), -1);
    }
    return result;
  };
}

describe("an errno that another call of the runtime has overwritten", () => {
  it("is not taken for that of a file that isn't there", () => {
    const path = directory.at("nothing");
    withCall("open", overwritten(libc.open), () => assert.equal(openIfExists(path, 0), null));
    withCall("unlink", overwritten(libc.unlink), () => assert.equal(unlinkFile(path), false));
  });

  it("does not make another user's process a dead one", () => {
    const folder = cString(directory.path);
    const target = cString(directory.at("link"));
    // A second name for a directory: EPERM, as kill says of a process that is not ours.
    const refused = () => libc.link(folder, target);
    const alive = () => processIsAlive(1);
    assert.equal(withCall("kill", refused, alive), true);
    assert.equal(withCall("kill", overwritten(refused), alive), true);
  });
});

it("what a disk refused is an error though a second msync would succeed", () => {
  const mapping = Mapping.create(directory.at("synced"), { bytes: 4096 });
  try {
    let calls = 0;
    const failing = () => calls++ === 0 ? libc.close(-1) : 0;
    withCall("msync", failing, () => {
      assert.throws(() => mapping.sync(), { code: "EBADF", syscall: "msync" });
      mapping.sync();
    });
  } finally {
    mapping.discard();
    mapping.close();
  }
});
