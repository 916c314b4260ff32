import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, it } from "node:test";
import { mountTmpfs } from "../../tests/support/tmpfs.ts";
import { identity } from "./identity.ts";
import { createInPlace } from "./place.ts";
import { defaultDirectories } from "./places.ts";
import { fittingSizes, freeBytes } from "./room.ts";
import type { FileWriter } from "./write.ts";

const folder = mkdtempSync(join(tmpdir(), "otlp-mmap-room-"));
after(() => rmSync(folder, { recursive: true }));

describe("fittingSizes", () => {
  it("keeps the sizes where there is room, and halves slots until a quarter of it is enough", () => {
    const sizes = {};
    assert.equal(fittingSizes("f", sizes, Infinity).sizes, sizes);
    const { bytes } = fittingSizes("f", sizes, 64 << 20);
    assert.ok(bytes > 14 << 20 && bytes <= 16 << 20);
    const half = fittingSizes("f", sizes, 50 << 20);
    assert.deepEqual([half.halves, half.isTight], [1, false]);
    assert.deepEqual(half.sizes, {
      events: { slots: 1024 },
      spans: { slots: 4096 },
      measurements: { slots: 2048 },
    });
    const least = fittingSizes("f", sizes, 1 << 20);
    assert.deepEqual([least.halves, least.isTight], [5, true]);
  });

  it("leaves alone what somebody chose", () => {
    const { sizes } = fittingSizes("f", { spans: { slots: 8192 } }, 1 << 20);
    assert.deepEqual([sizes.spans, sizes.events], [{ slots: 8192 }, { slots: 64 }]);
    const chosen = { spans: { slots: 8 }, events: { slots: 8 }, measurements: { slots: 8 } };
    assert.equal(fittingSizes("f", chosen, 1024).sizes, chosen);
  });
});

const shared = mkdtempSync(join(folder, "shm-"));
const unmount = mountTmpfs(shared, "size=64m");
// Only root can mount a place as small as that of a container.
if (unmount !== undefined) {
  describe("a place of 64 MB", () => {
    it("has room for an application with 4 Workers, and says what is smaller", () => {
      const spare = mkdtempSync(join(folder, "spare-"));
      const places = { sharedMemory: shared, spare };
      const files: FileWriter[] = [];
      const notes: string[] = [];
      const onNote = (note: string): void => void notes.push(note);
      try {
        for (let isolate = 0; isolate < 5; isolate++) {
          const options = { identity: { ...identity(), isolate } };
          files.push(createInPlace({ places, onNote }, options));
        }
        for (const { mapping } of files) assert.ok(mapping.path.startsWith(`${shared}/`));
        assert.equal(files[0].spans.slots, 8192);
        assert.equal(files[4].spans.slots, 4096);
        assert.equal(notes.length, 4);
        assert.match(notes[0], /^\S+ has 52\.\d MB free: rings have 1\/2 of their usual slots/);
        assert.ok(freeBytes(shared) > 16 << 20, "room for dictionaries to grow");

        // Now there is no more room than for a few pages.
        const { bavail, bsize } = statfsSync(shared);
        writeFileSync(join(shared, "filler"), new Uint8Array(bavail * bsize - 65_536));
        const options = { identity: { ...identity(), isolate: 6 } };
        files.push(createInPlace({ places, onNote }, options));
        assert.ok(files[5].mapping.path.startsWith(`${spare}/`), files[5].mapping.path);
        assert.match(notes.at(-1)!, /has little room: telemetry goes to .*--shm-size/);
        const uid = process.getuid!();
        const found = defaultDirectories(uid, { ...places, platform: "linux" });
        const listed = found.flatMap(({ path }) => readdirSync(path));
        assert.equal(listed.length, 6);
      } finally {
        for (const file of files) file.close();
        unmount();
      }
    });
  });
}
