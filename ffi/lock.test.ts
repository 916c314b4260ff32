import assert from "node:assert/strict";
import fs from "node:fs";
import process from "node:process";
import { after, describe, it } from "node:test";
import { isLocked, lockFile, SystemError } from "./mod.ts";
import { startChild, temporaryDirectory } from "./testdata/start.ts";

const directory = temporaryDirectory();
after(() => directory.remove());

function take(path: string): { release(): void } {
  const lock = lockFile(path);
  if ("heldBy" in lock) assert.fail(`held by ${lock.heldBy}`);
  return lock;
}

describe("lockFile", () => {
  it("is held once, says by whom, and is gone when released", () => {
    const path = directory.at("one");
    const lock = take(path);
    assert.deepEqual(fs.readdirSync(directory.path), ["one"]);
    assert.equal(fs.readFileSync(path, "utf8").trim(), String(process.pid));
    assert.equal(fs.statSync(path).mode & 0o777, 0o600);
    assert.deepEqual(lockFile(path), { heldBy: process.pid });
    assert.equal(isLocked(path), true);
    lock.release();
    lock.release();
    assert.deepEqual(fs.readdirSync(directory.path), []);
    take(path).release();
  });

  it("excludes another process, and a killed holder is in nobody's way", async () => {
    const path = directory.at("two");
    const child = await startChild();
    try {
      assert.equal(await child.ask({ op: "lockFile", path }), "held");
      assert.deepEqual(lockFile(path), { heldBy: child.process.pid });
    } finally {
      await child.stop("kill");
    }
    assert.equal(fs.existsSync(path), true);
    assert.equal(isLocked(path), false);
    const lock = take(path);
    assert.equal(fs.readFileSync(path, "utf8").trim(), String(process.pid));
    lock.release();
    assert.equal(fs.existsSync(path), false);
  });

  it("tells the other process who it is", async () => {
    const path = directory.at("three");
    const lock = take(path);
    const child = await startChild();
    try {
      assert.equal(await child.ask({ op: "lockFile", path }), process.pid);
      lock.release();
      assert.equal(await child.ask({ op: "lockFile", path }), "held");
    } finally {
      await child.stop("kill");
    }
  });

  it("has one winner among many that try at once", async () => {
    const path = directory.at("race");
    const children = await Promise.all(Array.from({ length: 4 }, () => startChild()));
    try {
      const results = await Promise.all(
        children.map((child) => child.ask({ op: "lockFile", path })),
      );
      assert.equal(results.filter((result) => result === "held").length, 1, String(results));
      const winner = children[results.indexOf("held")].process.pid;
      for (const result of results) assert.ok(result === "held" || result === winner);
    } finally {
      await Promise.all(children.map((child) => child.stop("kill")));
    }
    assert.deepEqual(fs.readdirSync(directory.path).filter((name) => name.endsWith(".tmp")), []);
  });

  it("release leaves a file alone that has taken the place of its own", () => {
    const path = directory.at("replaced");
    const lock = take(path);
    fs.unlinkSync(path);
    fs.writeFileSync(path, "not a number");
    lock.release();
    assert.equal(fs.readFileSync(path, "utf8"), "not a number");
    const again = take(path);
    again.release();
  });

  it("reports a holder it cannot name as null, and follows no link", () => {
    const path = directory.at("nameless");
    const lock = take(path);
    fs.writeFileSync(path, "");
    assert.deepEqual(lockFile(path), { heldBy: null });
    lock.release();
    fs.symlinkSync("/dev/null", path);
    assert.throws(
      () => lockFile(path),
      (e: unknown) => e instanceof SystemError && e.code === "ELOOP",
    );
    assert.throws(
      () => isLocked(directory.at("missing")),
      (e: unknown) => e instanceof SystemError && e.code === "ENOENT",
    );
  });
});
