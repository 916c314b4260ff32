import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import process from "node:process";
import { after, describe, it } from "node:test";
import {
  mappedBy,
  Mapping,
  processIsAlive,
  processStartTime,
  SystemError,
  userId,
  userTempDirectory,
} from "./mod.ts";
import { startChild, temporaryDirectory } from "./testdata/start.ts";

const directory = temporaryDirectory();
after(() => directory.remove());

const isLinux = process.platform === "linux";

describe("processIsAlive", () => {
  it("knows itself, a child, and that child's end", async () => {
    assert.equal(processIsAlive(process.pid), true);
    const child = spawn("sleep", ["60"], { stdio: "ignore" });
    const ended = new Promise((resolve) => child.once("close", resolve));
    await new Promise((resolve) => child.once("spawn", resolve));
    assert.equal(processIsAlive(child.pid as number), true);
    child.kill("SIGKILL");
    await ended;
    assert.equal(processIsAlive(child.pid as number), false);
  });

  it("takes no number that means something else to kill", () => {
    for (const pid of [0, -1, 1.5, NaN, 2 ** 31, 2 ** 32 + process.pid]) {
      assert.equal(processIsAlive(pid), false, String(pid));
    }
  });

  it("counts a zombie as dead", { skip: !isLinux && "needs /proc" }, async () => {
    // The shell becomes a sleep, which never waits for the child it is left with.
    const parent = spawn("sh", ["-c", "sleep 1 & echo $!; exec sleep 60"]);
    try {
      const zombie = await new Promise<number>((resolve) =>
        parent.stdout.once("data", (data) => resolve(Number(String(data))))
      );
      const deadline = Date.now() + 10_000;
      while (!/^State:\s+Z/m.test(fs.readFileSync(`/proc/${zombie}/status`, "utf8"))) {
        assert.ok(Date.now() < deadline, "never became a zombie");
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      assert.equal(processIsAlive(zombie), false);
    } finally {
      parent.kill("SIGKILL");
    }
  });
});

describe("processStartTime", () => {
  it("is when the process started", { skip: !isLinux && "needs /proc" }, async () => {
    const before = Date.now();
    const child = await startChild();
    try {
      const started = processStartTime(child.process.pid as number);
      assert.ok(started !== null);
      const milliseconds = Number(started / 1_000_000n);
      // The time of boot is told in whole seconds.
      assert.ok(
        milliseconds >= before - 2000 && milliseconds <= Date.now() + 2000,
        `${milliseconds}`,
      );
      const own = processStartTime(process.pid) as bigint;
      assert.ok(own <= started && own > 0n);
      assert.equal(processStartTime(process.pid), own);
    } finally {
      await child.stop();
    }
    assert.equal(processStartTime(child.process.pid as number), null);
  });
});

describe("mappedBy", () => {
  it("names the processes that map the file", { skip: !isLinux && "needs /proc" }, async () => {
    const mapping = Mapping.create(directory.at("mapped"), { bytes: 4096 });
    mapping.publish();
    const child = await startChild();
    try {
      assert.deepEqual(mappedBy(mapping.path), [process.pid]);
      await child.ask({ op: "open", path: mapping.path });
      const both = [process.pid, child.process.pid as number].sort((a, b) => a - b);
      assert.deepEqual(mappedBy(mapping.path)?.sort((a, b) => a - b), both);
      mapping.close();
      assert.deepEqual(mappedBy(mapping.path), [child.process.pid]);
      // Another file of the same name and directory is another file.
      fs.renameSync(mapping.path, directory.at("moved"));
      fs.writeFileSync(mapping.path, "x");
      assert.deepEqual(mappedBy(mapping.path), []);
      assert.deepEqual(mappedBy(directory.at("moved")), [child.process.pid]);
    } finally {
      await child.stop();
    }
    assert.deepEqual(mappedBy(directory.at("moved")), []);
  });

  it("says so when there is no such file", { skip: !isLinux && "needs /proc" }, () => {
    assert.throws(
      () => mappedBy(directory.at("missing")),
      (error: unknown) => error instanceof SystemError && error.code === "ENOENT",
    );
  });
});

it("userTempDirectory is a directory, userId the effective user", () => {
  assert.ok(fs.statSync(userTempDirectory()).isDirectory());
  assert.equal(userTempDirectory().endsWith("/"), false);
  assert.equal(userId(), process.geteuid?.());
});
