import assert from "node:assert/strict";
import { closeSync, linkSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import { folders } from "../../collector/testing/run.ts";
import { inodeAt, inodeOf, isOpenAs } from "./inode.ts";

const folder = folders("inode");

it("a file is the same under each of its names, and another takes none of them from it", () => {
  const path = join(folder(), "a");
  const other = `${path}.other`;
  writeFileSync(path, "");
  linkSync(path, other);
  const fd = openSync(path, "r");
  assert.equal(inodeAt(path), inodeOf(fd));
  assert.equal(inodeOf(other), inodeOf(path));
  writeFileSync(`${path}.new`, "");
  renameSync(`${path}.new`, path);
  assert.equal(isOpenAs(fd, path), false);
  assert.equal(isOpenAs(fd, other), true);
  rmSync(path);
  assert.deepEqual([inodeAt(path), inodeAt(join(other, "below"))], [null, null]);
  assert.throws(() => inodeOf(path), { code: "ENOENT" });
  closeSync(fd);
});
