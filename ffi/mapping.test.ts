import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import process from "node:process";
import { after, describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import { isLocked, Mapping, runtime, SystemError } from "./mod.ts";
import { startChild, temporaryDirectory } from "./testdata/start.ts";

const directory = temporaryDirectory();
after(() => directory.remove());

const PAGE = 4096;
let names = 0;
const fresh = (): string => directory.at(`file-${names++}`);

function published(options: { bytes: number; reserve?: number } = { bytes: PAGE }): Mapping {
  const mapping = Mapping.create(fresh(), options);
  mapping.publish();
  return mapping;
}

const fails = (code: string, ...parts: RegExp[]) => (error: unknown): boolean => {
  assert.ok(error instanceof SystemError, String(error));
  assert.equal(error.code, code);
  for (const part of parts) assert.match(error.message, part);
  return true;
};

async function until(condition: () => boolean, otherwise: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!condition()) {
    assert.ok(Date.now() < deadline, otherwise);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

describe("Mapping.create and publish", () => {
  it("is invisible until published, private, and has all its blocks", () => {
    const path = fresh();
    const mapping = Mapping.create(path, { bytes: 300_000, reserve: 1 << 20 });
    const [temporary, ...more] = fs.readdirSync(directory.path).filter((n) => n.endsWith(".tmp"));
    assert.equal(fs.existsSync(path), false);
    assert.deepEqual(more, []);
    const name = path.slice(directory.path.length + 1);
    assert.match(temporary, new RegExp(`^${name}\\.${process.pid}-[A-Za-z0-9]{6}\\.tmp$`));
    mapping.publish();
    const stat = fs.statSync(path);
    assert.equal(fs.existsSync(directory.at(temporary)), false);
    assert.equal(stat.nlink, 1);
    assert.equal(stat.mode & 0o777, 0o600);
    assert.equal(stat.size, 300_000);
    assert.ok(stat.blocks * 512 >= 300_000, `${stat.blocks} blocks`);
    assert.equal(mapping.size, 300_000);
    assert.equal(mapping.buffer.byteLength, 1 << 20);
    for (const view of [mapping.u8, mapping.i32, mapping.i64]) {
      assert.equal(view.buffer, mapping.buffer);
      assert.equal(view.byteLength, 1 << 20);
    }
    assert.throws(() => mapping.publish(), /published already/);
    mapping.close();
  });

  it("never takes the place of another file, and can be published elsewhere then", () => {
    const path = fresh();
    fs.writeFileSync(path, "theirs");
    const mapping = Mapping.create(path, { bytes: PAGE });
    mapping.u8[0] = 77;
    assert.throws(() => mapping.publish(), fails("EEXIST", /^link /));
    assert.equal(fs.readFileSync(path, "utf8"), "theirs");
    const other = fresh();
    mapping.publish(other);
    assert.equal(mapping.path, other);
    assert.equal(fs.readFileSync(other)[0], 77);
    assert.equal(mapping.isAtPath(), true);
    assert.equal(mapping.isAtPath(path), false);
    mapping.close();
  });

  it("does not follow a symbolic link at its path", () => {
    const path = fresh();
    fs.symlinkSync(directory.at("elsewhere"), path);
    const mapping = Mapping.create(path, { bytes: PAGE });
    assert.throws(() => mapping.publish(), fails("EEXIST"));
    assert.equal(fs.existsSync(directory.at("elsewhere")), false);
    mapping.discard();
    mapping.discard();
    mapping.close();
  });

  it("leaves nothing behind when discarded or when it fails", () => {
    const before = fs.readdirSync(directory.path);
    const mapping = Mapping.create(fresh(), { bytes: PAGE });
    mapping.discard();
    mapping.close();
    // Taken for 32 bits this would be one page, and work.
    const huge = 2 ** 50 + PAGE;
    assert.throws(
      () => Mapping.create(fresh(), { bytes: huge }),
      (error: unknown) => error instanceof SystemError && /ENOSPC|EFBIG/.test(error.code),
    );
    assert.deepEqual(fs.readdirSync(directory.path), before);
  });

  it("says which call failed, where, and what to do", () => {
    assert.throws(
      () => Mapping.create(directory.at("no/such/directory"), { bytes: PAGE }),
      fails("ENOENT", /^mkostemps .*no\/such\/directory\..*ENOENT, no such file.*create the dir/),
    );
    assert.throws(() => Mapping.create("a\0b", { bytes: PAGE }), TypeError);
    for (const bytes of [0, -1, 1.5, NaN, 2 ** 53]) {
      assert.throws(() => Mapping.create(fresh(), { bytes }), RangeError);
    }
    assert.throws(() => Mapping.create(fresh(), { bytes: PAGE, reserve: PAGE - 1 }), RangeError);
  });
});

describe("Mapping.open", () => {
  it("refuses what is not there, not a file, or a link that must not be one", () => {
    const link = fresh();
    fs.symlinkSync("/dev/null", link);
    assert.throws(() => Mapping.open(fresh()), fails("ENOENT", /^open /));
    assert.throws(() => Mapping.open(directory.path), fails("EISDIR"));
    assert.throws(() => Mapping.open(link), fails("ENODEV"));
    assert.throws(() => Mapping.open(link, { follow: false }), fails("ELOOP"));
  });

  it("follows a link by default, and knows the file by it", () => {
    const mapping = published();
    const link = fresh();
    fs.symlinkSync(mapping.path, link);
    const other = Mapping.open(link);
    other.u8[9] = 5;
    assert.equal(mapping.u8[9], 5);
    assert.equal(other.isAtPath(), true);
    other.close();
    mapping.close();
  });

  it("opens an empty file, with memory only if some is reserved", () => {
    const path = fresh();
    fs.writeFileSync(path, "");
    const none = Mapping.open(path);
    assert.deepEqual([none.size, none.buffer.byteLength], [0, 0]);
    none.sync();
    none.close();
    const some = Mapping.open(path, { reserve: 2 * PAGE });
    assert.deepEqual([some.size, some.buffer.byteLength], [0, 2 * PAGE]);
    some.grow(PAGE);
    some.u8[PAGE - 1] = 1;
    some.close();
    assert.equal(fs.statSync(path).size, PAGE);
  });

  it("maps all of a file whose length is no multiple of anything", () => {
    const path = fresh();
    fs.writeFileSync(path, "seventeen bytes..");
    const mapping = Mapping.open(path);
    assert.deepEqual([mapping.u8.length, mapping.i32.length, mapping.i64.length], [17, 4, 2]);
    mapping.u8[0] = 0x53;
    mapping.sync();
    mapping.close();
    assert.equal(fs.readFileSync(path, "utf8"), "Seventeen bytes..");
  });
});

describe("two processes", () => {
  it("see each other's stores, and count together without losing one", async () => {
    const mapping = published();
    const child = await startChild();
    try {
      assert.equal(await child.ask({ op: "open", path: mapping.path }), PAGE);
      Atomics.store(mapping.i32, 3, -7);
      assert.equal(await child.ask({ op: "load", index: 3 }), -7);
      await child.ask({ op: "store", index: 4, value: 44 });
      assert.equal(Atomics.load(mapping.i32, 4), 44);

      const times = 2_000_000;
      const theirs = child.ask({ op: "add", index: 100, times });
      // Not before the other one runs, so that both do at the same time.
      await until(() => Atomics.load(mapping.i32, 100) > 0, "the other process never started");
      for (let i = 0; i < times; i++) Atomics.add(mapping.i32, 100, 1);
      await theirs;
      assert.equal(Atomics.load(mapping.i32, 100), 2 * times);

      Atomics.store(mapping.i64, 60, -1n);
      assert.equal(Atomics.compareExchange(mapping.i64, 60, -1n, 2n ** 40n), -1n);
      assert.equal(await child.ask({ op: "load", index: 121 }), 256);
    } finally {
      await child.stop();
      mapping.close();
    }
  });

  it("see what the other one grew, in what they had reserved", async () => {
    const mapping = published({ bytes: PAGE, reserve: 1 << 20 });
    const child = await startChild();
    try {
      await child.ask({ op: "open", path: mapping.path, reserve: 1 << 20 });
      mapping.grow(300_000);
      assert.equal(mapping.size, 300_000);
      mapping.i32[70_000] = 123;
      assert.equal(await child.ask({ op: "refresh" }), 300_000);
      assert.equal(await child.ask({ op: "load", index: 70_000 }), 123);
      assert.ok(fs.statSync(mapping.path).blocks * 512 >= 300_000);

      // The other one makes it longer: known here after refresh, and never shortened by this one.
      assert.equal(await child.ask({ op: "grow", bytes: 500_000 }), 500_000);
      await child.ask({ op: "store", index: 120_000, value: 9 });
      mapping.grow(400_000);
      assert.equal(mapping.size, 500_000);
      assert.equal(fs.statSync(mapping.path).size, 500_000);
      assert.equal(mapping.i32[120_000], 9);
      assert.throws(() => mapping.grow((1 << 20) + 1), RangeError);
    } finally {
      await child.stop();
      mapping.close();
    }
  });

  it("exclude each other by the lock, which ends with its holder", async () => {
    const mapping = published();
    const child = await startChild();
    try {
      await child.ask({ op: "open", path: mapping.path });
      assert.equal(isLocked(mapping.path), false);
      assert.equal(await child.ask({ op: "lock" }), true);
      assert.equal(mapping.lock(), false);
      assert.equal(isLocked(mapping.path), true);
      await child.stop("kill");
      assert.equal(isLocked(mapping.path), false);
      assert.equal(mapping.lock(), true);
      assert.equal(isLocked(mapping.path), true, "asking must not take the lock away");
    } finally {
      await child.stop("kill");
      mapping.close();
    }
    assert.equal(isLocked(mapping.path), false);
  });

  for (const how of ["create", "open"] as const) {
    it(`a child started meanwhile inherits neither file nor lock (${how})`, async () => {
      const made = published();
      const mapping = how === "create" ? made : Mapping.open(made.path);
      if (how === "open") made.close();
      assert.equal(mapping.lock(), true);
      const child = spawn("sleep", ["60"], { stdio: "ignore" });
      const ended = new Promise((resolve) => child.once("close", resolve));
      try {
        await new Promise((resolve) => child.once("spawn", resolve));
        mapping.close();
        // It is there before exec has closed its copies: wait for that, which a lock would outlive.
        await until(() => !isLocked(mapping.path), "the child holds the lock");
        assert.equal(child.exitCode, null);
      } finally {
        child.kill("SIGKILL");
        await ended;
      }
    });
  }
});

describe("a Worker", () => {
  it("has its own errno, clock and mapping of the same file", async () => {
    const mapping = published();
    const worker = new Worker(new URL("./testdata/worker.ts", import.meta.url), {
      workerData: mapping.path,
    });
    const said = await new Promise<{ code: string; seconds: number }>((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
    });
    await worker.terminate();
    assert.equal(said.code, "ENOENT");
    assert.ok(Math.abs(said.seconds - Date.now() / 1000) < 60);
    assert.equal(Atomics.load(mapping.i32, 0), 1);
    mapping.close();
  });
});

describe("Mapping.close", () => {
  it("empties every view, so that a late access finds nothing", () => {
    const mapping = published();
    const { buffer, u8, i32, i64 } = mapping;
    const part = u8.subarray(16, 32);
    const data = new DataView(buffer, 8, 8);
    mapping.close();
    mapping.close();
    assert.equal(mapping.closed, true);
    assert.deepEqual([buffer.byteLength, u8.length, i32.length, i64.length, part.length], [
      0,
      0,
      0,
      0,
      0,
    ]);
    u8[0] = 1;
    assert.equal(u8[0], undefined);
    assert.throws(() => data.getInt32(0), TypeError);
    assert.throws(() => Atomics.store(i32, 0, 1));
    for (
      const late of [
        () => mapping.lock(),
        () => mapping.refresh(),
        () => mapping.grow(PAGE),
        () => mapping.sync(),
        () => mapping.isAtPath(),
        () => mapping.reach(1),
      ]
    ) assert.throws(late, /is closed/);
  });

  it("gives back descriptor and address space", { skip: noProc() }, () => {
    const path = published().path;
    // Names of descriptors and mappings: the count of either must not grow with the turns.
    const open = (): number =>
      fs.readFileSync("/proc/self/maps", "utf8").split(path).length +
      fs.readdirSync("/proc/self/fd").length;
    const before = open();
    for (let i = 0; i < 200; i++) Mapping.open(path, { reserve: 1 << 20 }).close();
    assert.ok(open() - before < 100, `${before} -> ${open()}`);
  });
});

describe("a file of more than 4 GiB", () => {
  it("is viewed to its end, where there are such ArrayBuffers", () => {
    const path = fresh();
    const bytes = 5 * 2 ** 30;
    fs.writeFileSync(path, "");
    fs.truncateSync(path, bytes);
    if (runtime.name === "bun") {
      assert.throws(() => Mapping.open(path), /more than an ArrayBuffer holds on bun/);
      return;
    }
    const mapping = Mapping.open(path);
    const { u8, i32, i64 } = mapping;
    assert.deepEqual([u8.length, i32.length, i64.length], [bytes, bytes / 4, bytes / 8]);
    mapping.close();
  });
});

describe("Mapping.reach", () => {
  it("views more of the reserve as the file grows", () => {
    const writer = published({ bytes: 4 * PAGE, reserve: 64 * PAGE });
    const mapping = Mapping.open(writer.path, { reserve: 64 * PAGE, growth: 100 });
    assert.deepEqual([mapping.u8.length, mapping.reserve], [4 * PAGE + 100, 64 * PAGE]);
    assert.deepEqual([mapping.i32.length, mapping.i64.length], [PAGE + 25, PAGE / 2 + 12]);
    assert.equal(mapping.reach(4 * PAGE + 100), mapping.u8);
    assert.equal(mapping.reach(64 * PAGE + 1), null);
    const lengths = new Set<number>();
    for (let pages = 5; pages <= 64; pages++) {
      writer.grow(pages * PAGE);
      writer.u8[pages * PAGE - 1] = pages;
      const view = mapping.reach(pages * PAGE)!;
      lengths.add(view.length);
      for (let page = 5; page <= pages; page++) assert.equal(view[page * PAGE - 1], page);
    }
    assert.ok(lengths.size < 8, [...lengths].join());
    writer.u8[0] = 7;
    assert.equal(mapping.u8[0], 7, "the first view stays");
    const last = mapping.reach(64 * PAGE)!;
    mapping.close();
    assert.deepEqual([last.length, mapping.u8.length], [0, 0]);
    writer.close();
  });
});

describe("Mapping.isAtPath", () => {
  it("notices removal and replacement", () => {
    const mapping = published();
    assert.equal(mapping.isAtPath(), true);
    fs.renameSync(mapping.path, mapping.path + ".moved");
    assert.equal(mapping.isAtPath(), false);
    assert.equal(mapping.isAtPath(mapping.path + ".moved"), true);
    fs.writeFileSync(mapping.path, "another");
    assert.equal(mapping.isAtPath(), false);
    assert.equal(mapping.isAtPath(mapping.path + "/below"), false);
    mapping.close();
  });
});

describe("limits", () => {
  it("a file over RLIMIT_FSIZE is an error, not the end of the process", async () => {
    // In blocks of 512 or 1,024 bytes: 64 or 128 MiB.
    const child = await startChild("sh", "-c", 'ulimit -f 131072 && exec "$@"', "sh");
    try {
      const path = fresh();
      await assert.rejects(child.ask({ op: "create", path, bytes: 2 ** 29 }), /^Error: EFBIG$/);
      assert.equal(await child.ask({ op: "create", path, bytes: PAGE }), null);
    } finally {
      await child.stop();
    }
  });

  const full = directory.at("full");
  const { skip, unmount } = mountSmall(full);
  after(unmount);
  it("a full disk is an error that says so, and what was mapped goes on", { skip }, () => {
    const path = `${full}/file`;
    assert.throws(
      () => Mapping.create(path, { bytes: 2 << 20 }),
      fails("ENOSPC", /no space left on the device: free some, or choose .*OTLP_MMAP_DIR/),
    );
    assert.deepEqual(fs.readdirSync(full), []);
    const mapping = Mapping.create(path, { bytes: 16 * PAGE, reserve: 4 << 20 });
    mapping.publish();
    mapping.u8.fill(1, 0, mapping.size);
    assert.throws(() => mapping.grow(2 << 20), fails("ENOSPC", new RegExp(path)));
    assert.equal(mapping.size, 16 * PAGE);
    mapping.u8.fill(2, 0, mapping.size);
    mapping.grow(32 * PAGE);
    mapping.u8.fill(3, 0, mapping.size);
    mapping.close();
  });
});

function noProc(): string | false {
  return fs.existsSync("/proc/self/maps") ? false : "needs /proc";
}

function mountSmall(path: string): { skip: string | false; unmount(): void } {
  const none = { unmount(): void {} };
  if (process.platform !== "linux") return { skip: "needs a tmpfs of Linux", ...none };
  if (process.getuid?.() !== 0) return { skip: "only root can mount a small tmpfs", ...none };
  fs.mkdirSync(path);
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", path], {
    encoding: "utf8",
  });
  if (mounted.status !== 0) {
    return { skip: `cannot mount a tmpfs: ${mounted.stderr ?? mounted.error}`.trim(), ...none };
  }
  return { skip: false, unmount: () => void spawnSync("umount", [path]) };
}
