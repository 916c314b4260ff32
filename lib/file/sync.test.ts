import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, it } from "node:test";
import { EXT_STATE, EXT_SYNCED, STATE_CLEAN } from "../format/layout.ts";
import { whyNoDisk } from "./disk.ts";
import { identity } from "./identity.ts";
import { FileSyncer } from "./sync.ts";
import { FileWriter } from "./write.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-sync-"));
after(() => rmSync(directory, { recursive: true }));

/** Bytes that this process has made the system write to disks, or will. */
function written(): number {
  return Number(/^write_bytes: (\d+)/m.exec(readFileSync("/proc/self/io", "latin1"))![1]);
}

if (process.platform === "linux" && whyNoDisk(directory) === null) {
  it("a sync behind one that failed writes everything again", async () => {
    const path = join(directory, "f.otlp");
    const file = FileWriter.create(path, { identity: identity(), synced: true });
    file.mapping.publish(path);
    const said: string[] = [];
    const syncer = new FileSyncer(file, ({ message }) => said.push(message));
    const descriptor = syncer as unknown as { fd: number };
    try {
      await syncer.sync();
      const before = written();
      await syncer.sync();
      const { fd } = descriptor;
      assert.ok(written() - before < file.mapping.size / 4, "as much as there is to write");
      // One that the system refuses to sync.
      descriptor.fd = 1 << 20;
      await syncer.sync();
      descriptor.fd = fd;
      assert.match(said.join(), /EBADF|bad file/i);
      assert.equal(syncer.count, 2);
      const again = written();
      await syncer.sync();
      assert.ok(written() - again >= file.mapping.size, `${written() - again} bytes`);
      assert.equal(syncer.count, 3);
    } finally {
      syncer.end(() => {});
      file.mapping.close();
    }
  });
  it("what a sync that was asked for says in the file is on the disk with it", async () => {
    const path = join(directory, "asked");
    const file = FileWriter.create(path, { identity: identity(), synced: true });
    file.mapping.publish(path);
    const syncer = new FileSyncer(file, (error) => {
      throw error;
    });
    const { i64 } = file.mapping;
    // Counted when a page that is the same on the disk is written to, and not once more before the next sync.
    const touched = (): number => {
      const before = written();
      Atomics.add(i64, EXT_SYNCED / 8, 0n);
      return written() - before;
    };
    try {
      await syncer.sync();
      assert.ok(touched() > 0, "the page was on the disk");
      assert.equal(touched(), 0, "it no longer is");
    } finally {
      syncer.end(() => {});
      file.mapping.close();
    }
  });
  it("the end of a file is on the disk, and after a sync that failed so is all of it", async () => {
    const path = join(directory, "ended");
    const file = FileWriter.create(path, { identity: identity(), synced: true });
    file.mapping.publish(path);
    const syncer = new FileSyncer(file, () => {});
    const descriptor = syncer as unknown as { fd: number };
    await syncer.sync();
    const { fd } = descriptor;
    descriptor.fd = 1 << 20;
    await syncer.sync();
    descriptor.fd = fd;
    const before = written();
    syncer.end(() => file.finish(STATE_CLEAN));
    assert.ok(written() - before >= file.mapping.size, `${written() - before} bytes`);
    const after = written();
    Atomics.add(file.mapping.i32, EXT_STATE / 4, 0);
    assert.ok(written() > after, "the page with its state was on the disk");
    file.close();
  });
}

it("the first sync is that of the folder, without whose names no file is found", async () => {
  const folder = join(directory, "folder");
  mkdirSync(folder);
  const path = join(folder, "f.otlp");
  const file = FileWriter.create(path, { identity: identity(), synced: true });
  file.mapping.publish(path);
  const said: string[] = [];
  const syncer = new FileSyncer(file, ({ message }) => said.push(message));
  try {
    // What is not there says that it was asked for.
    renameSync(folder, `${folder}.away`);
    await syncer.sync();
    assert.deepEqual([said.length, syncer.count], [1, 0]);
    assert.ok(said[0].includes(folder) && !said[0].includes(path), said[0]);
    renameSync(`${folder}.away`, folder);
    await syncer.sync();
    assert.deepEqual([said.length, syncer.count], [1, 1]);
  } finally {
    syncer.end(() => {});
    file.close();
  }
});
