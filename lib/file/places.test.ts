import assert from "node:assert/strict";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, it } from "node:test";
import {
  defaultDirectories,
  defaultDirectory,
  ensureDefaultDirectory,
  exactFilePath,
  type FileIdentity,
  fileName,
  isFileName,
  leftoverName,
  untrusted,
} from "./places.ts";

const shared = mkdtempSync(join(tmpdir(), "otlp-mmap-places-"));
after(() => rmSync(shared, { recursive: true }));
const uid = process.getuid?.() ?? 0;
const options = { platform: "linux", sharedMemory: shared };

describe("default places", () => {
  it("do not depend on the environment", () => {
    assert.equal(defaultDirectory(1000, { platform: "linux" }), "/dev/shm/otlp-mmap-1000");
    const userTempDirectory = (): string => "/var/folders/xy/T/";
    assert.equal(
      defaultDirectory(501, { platform: "darwin", userTempDirectory }),
      "/var/folders/xy/T/otlp-mmap-501",
    );
    assert.throws(() => defaultDirectory(1, { platform: "win32" }), /set OTLP_MMAP_DIR/);
  });

  it("are made with mode 0700, once", () => {
    const path = ensureDefaultDirectory(uid, options);
    assert.equal(path, join(shared, `otlp-mmap-${uid}`));
    assert.equal(statSync(path).mode & 0o777, 0o700);
    assert.equal(ensureDefaultDirectory(uid, options), path);
  });

  it("are refused when somebody else may have made them", () => {
    const path = ensureDefaultDirectory(uid, options);
    assert.match(untrusted(path, uid + 1) ?? "", new RegExp(`belongs to user ${uid}, not to`));
    chmodSync(path, 0o755);
    assert.throws(() => ensureDefaultDirectory(uid, options), /has mode 0755, not 0700/);
    rmSync(path, { recursive: true });
    mkdirSync(join(shared, "elsewhere"), { mode: 0o700 });
    symlinkSync(join(shared, "elsewhere"), path);
    assert.throws(() => ensureDefaultDirectory(uid, options), /symbolic link.*OTLP_MMAP_DIR/);
    rmSync(path);
    writeFileSync(path, "");
    assert.throws(() => ensureDefaultDirectory(uid, options), /not a directory/);
    rmSync(path);
  });

  it("are everybody's for root, and one's own for others", () => {
    for (const name of ["otlp-mmap-1001", "otlp-mmap-7", "otlp-mmap-x", "otlp-mmap-007"]) {
      mkdirSync(join(shared, name));
    }
    const place = (id: number): { path: string; uid: number } => ({
      path: join(shared, `otlp-mmap-${id}`),
      uid: id,
    });
    assert.deepEqual(defaultDirectories(0, options), [place(0), place(7), place(1001)]);
    assert.deepEqual(defaultDirectories(7, options), [place(7)]);
  });
});

describe("names", () => {
  const processUid = "0123456789abcdef0123456789abcdef";
  const identity = (isolate: number, generation: number): FileIdentity => ({
    pid: 42,
    processUid,
    isolate,
    generation,
  });

  it("say pid, process, isolate and generation", () => {
    assert.equal(fileName(identity(0, 0)), "42-01234567-0.0.otlp");
    assert.equal(fileName(identity(3, 12)), "42-01234567-3.12.otlp");
  });

  it("keep an exact path for the first file", () => {
    assert.equal(exactFilePath("/a/F", identity(0, 0), false), "/a/F");
    assert.equal(exactFilePath("/a/F", identity(0, 1), false), "/a/F.0.1");
    assert.equal(exactFilePath("/a/F", identity(2, 0), false), "/a/F.2.0");
    assert.equal(exactFilePath("/a/F", identity(0, 0), true), "/a/F.42-01234567.0.0");
    assert.equal(leftoverName("/a/F", processUid), "/a/F.01234567.left");
  });

  it("are known again in a directory, and nothing else is", () => {
    const ours = [
      fileName(identity(1, 2)),
      exactFilePath("app.otlp", identity(0, 0), false),
      exactFilePath("app.otlp", identity(1, 0), false),
      exactFilePath("app.otlp", identity(1, 0), true),
      leftoverName("app.otlp", processUid),
      leftoverName("app.otlp.1.0", processUid),
      leftoverName(fileName(identity(0, 0)), processUid),
    ];
    for (const name of ours) assert.equal(isFileName(name), true, name);
    const others = [
      "app",
      "otlp",
      "app.otlp.reader",
      "app.otlp.1.0.reader",
      "app.otlp.tmp",
      "app.otlp.gz",
      "app.otlp.x.left",
      "app.otlp.1",
      "core.1.0",
      "x.01234567.left",
    ];
    for (const name of others) assert.equal(isFileName(name), false, name);
  });
});
