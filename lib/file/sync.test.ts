import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, it } from "node:test";
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
}
