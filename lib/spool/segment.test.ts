/** Segments whose sync fails. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
} from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { folders } from "../../collector/testing/run.ts";
import { append, closeFile, type Segment, syncFile } from "./segment.ts";
import { begin, newShelf, settle, type Shelf } from "./shelf.ts";

const folder = folders("spool-segment");
const NO_MARK = new Uint8Array(0);

/** A shelf with a segment of two requests. */
function shelfOf(dir: string): [Shelf, Segment] {
  mkdirSync(join(dir, "logs"));
  const shelf = newShelf("logs", dir, "1-00000000", false);
  const segment = begin(shelf, 0);
  for (const body of ["a", "b"]) append(segment, NO_MARK, Buffer.from(body), 1, 0, false);
  return [shelf, segment];
}

/** Does something while the segment's file is one that can't be synced. */
function withoutSync(segment: Segment, act: () => void): void {
  const { fd } = segment;
  segment.fd = openSync("/dev/null", "r+");
  act();
  if (segment.fd >= 0) closeSync(segment.fd);
  segment.fd = fd;
}

describe("a segment that could not be synced", () => {
  it("is written again as a whole before the next sync is believed", () => {
    const [, segment] = shelfOf(folder());
    const { path } = segment;
    const content = readFileSync(path);
    syncFile(segment);
    withoutSync(segment, () => assert.throws(() => syncFile(segment)));
    utimesSync(path, 1, 1);
    syncFile(segment);
    assert.ok(statSync(path).mtimeMs > 1000, "it was written");
    assert.deepEqual(readFileSync(path), content);
    utimesSync(path, 1, 1);
    syncFile(segment);
    assert.equal(statSync(path).mtimeMs, 1000, "only once");
    closeFile(segment);
  });

  it("gets nothing more, and is counted, when that fails too", () => {
    const dir = folder();
    const [shelf, segment] = shelfOf(dir);
    assert.equal(settle(shelf), undefined);
    assert.equal(shelf.counts.unsynced, 0);
    withoutSync(segment, () => assert.match(String(settle(shelf)), /invalid argument/i));
    assert.equal(shelf.counts.unsynced, 1);
    assert.equal(shelf.writing, null);
    assert.equal(settle(shelf), undefined);
    const [name] = readdirSync(join(dir, "logs"));
    // Whoever takes it over looks at all of it.
    assert.match(name, /tmp$/);
    closeFile(segment);
  });
});
