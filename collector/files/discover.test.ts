import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import process from "node:process";
import { after, beforeEach, describe, it } from "node:test";
import { discover, type DiscoverOptions, type Discovery, type Scan } from "./discover.ts";

const root = mkdtempSync(join(tmpdir(), "otlp-mmap-discover-"));
after(() => rmSync(root, { recursive: true }));
const uid = process.getuid?.() ?? 0;
const lines: string[] = [];
let directory = "";

beforeEach(() => {
  directory = mkdtempSync(join(root, "d"));
  lines.length = 0;
});

function make(...names: string[]): void {
  for (const name of names) writeFileSync(join(directory, name), "");
}

function look(
  paths: string[],
  env: Record<string, string> = {},
  more: Partial<DiscoverOptions> = {},
): Discovery {
  const log = (level: string, message: string): void => void lines.push(`${level} ${message}`);
  return discover(paths, env, { log, ...more });
}

/** Names of what was found, a star before those that were named. */
function names(scan: Scan): string[] {
  return scan.files.map(({ path, named }) => (named ? "*" : "") + basename(path));
}

describe("discovery", () => {
  it("takes our files out of a directory, and regular ones only", () => {
    make("b.otlp", "a.otlp", "a.otlp.1.0", "a.otlp.01234567.left", "a.otlp.reader", "c.otlp.tmp");
    make("core", "notes.txt", "x.otlp.gz");
    mkdirSync(join(directory, "dir.otlp"));
    symlinkSync(join(directory, "core"), join(directory, "link.otlp"));
    const found = look([directory]).scan();
    assert.deepEqual(names(found), ["a.otlp", "a.otlp.01234567.left", "a.otlp.1.0", "b.otlp"]);
    assert.deepEqual(found.missing, []);
    assert.deepEqual(lines, []);
  });

  it("takes a named file with those beside it", () => {
    make("F", "F.1.0", "F.12-01234567.0.0", "F.left", "F.1.0.reader", "F.reader", "F.x.tmp", "FG");
    assert.deepEqual(names(look([join(directory, "F")]).scan()), [
      "*F",
      "F.1.0",
      "F.12-01234567.0.0",
      "F.left",
    ]);
  });

  it("follows a link that was named itself", () => {
    make("real");
    symlinkSync(join(directory, "real"), join(directory, "link"));
    assert.deepEqual(names(look([join(directory, "link")]).scan()), ["*link"]);
  });

  it("expands globs, of files and directories", () => {
    make("x1.bin", "x2.bin", "x1.bin.reader", "y.bin");
    mkdirSync(join(directory, "x-dir"));
    writeFileSync(join(directory, "x-dir", "in.otlp"), "");
    writeFileSync(join(directory, "x-dir", "other"), "");
    assert.deepEqual(names(look([join(directory, "x*")]).scan()), ["in.otlp", "x1.bin", "x2.bin"]);
    assert.deepEqual(names(look([join(directory, "{x2,y}.bin")]).scan()), ["x2.bin", "y.bin"]);
  });

  it("takes a name with glob characters literally when such a file is there", () => {
    make("a[1].otlp", "a1.otlp");
    assert.deepEqual(names(look([join(directory, "a[1].otlp")]).scan()), ["*a[1].otlp"]);
  });

  it("names each file once, and remembers that it was named", () => {
    make("a.otlp");
    const file = join(directory, "a.otlp");
    const found = look([
      directory,
      join(directory, "*"),
      file,
      `${directory}/../${basename(directory)}/a.otlp`,
    ])
      .scan();
    assert.deepEqual(names(found), ["*a.otlp"]);
  });

  it("waits for what is missing and says so once", () => {
    const file = join(directory, "later.otlp");
    const glob = join(directory, "*.bin");
    const discovery = look([file, glob]);
    assert.deepEqual(discovery.scan().missing, [file, glob]);
    discovery.scan();
    assert.equal(lines.length, 2);
    assert.match(lines[0], /^info waiting for .*later\.otlp, which does not exist yet$/);
    make("later.otlp", "a.bin");
    assert.deepEqual(names(discovery.scan()), ["*later.otlp", "a.bin"]);
    assert.deepEqual(lines.slice(2), [`info ${file} is there`, `info ${glob} is there`]);
    rmSync(file);
    const gone = discovery.scan();
    assert.deepEqual(gone.missing, [file]);
    discovery.scan();
    assert.deepEqual(lines.slice(4), [`info waiting for ${file}, which is gone`]);
  });

  it("finds the leftover of a named file that is gone itself", () => {
    make("F.01234567.left");
    assert.deepEqual(names(look([join(directory, "F")]).scan()), ["F.01234567.left"]);
  });

  it("looks where the variables say when no path is given", () => {
    make("F", "in.otlp");
    const other = mkdtempSync(join(root, "o"));
    writeFileSync(join(other, "o.otlp"), "");
    const file = { SDK_MMAP_EXPORTER_FILE: join(directory, "F") };
    const both = { ...file, OTLP_MMAP_DIR: other };
    assert.deepEqual(names(look([], { OTLP_MMAP_DIR: directory }).scan()), ["in.otlp"]);
    assert.deepEqual(names(look([], file).scan()), ["*F"]);
    assert.deepEqual(names(look([], both).scan()), ["*F", "o.otlp"]);
    assert.deepEqual(names(look([directory], both).scan()), ["in.otlp"]);
  });

  it("looks at the default place when nothing is said, if it can be trusted", () => {
    const places = { platform: "linux", sharedMemory: directory };
    const discovery = look([], {}, { places, uid });
    assert.deepEqual(discovery.scan(), {
      files: [],
      missing: [],
      refused: [],
      directories: [],
      transients: [],
    });
    const place = join(directory, `otlp-mmap-${uid}`);
    assert.deepEqual(discovery.places, [place]);
    assert.match(lines[0], /waiting for .*otlp-mmap-/);
    mkdirSync(place, { mode: 0o700 });
    writeFileSync(join(place, "a.otlp"), "");
    assert.deepEqual(names(discovery.scan()), ["a.otlp"]);
    chmodSync(place, 0o777);
    const refused = discovery.scan();
    assert.deepEqual(refused.files, []);
    assert.match(refused.refused[0], /mode 0777, not 0700/);
    discovery.scan();
    chmodSync(place, 0o700);
    assert.deepEqual(names(discovery.scan()), ["a.otlp"]);
    assert.equal(lines.length, 4);
    assert.match(lines[1], /^info .*otlp-mmap-\d+ is there$/);
    assert.match(lines[2], /^warn not looked at: .*mode 0777/);
    assert.match(lines[3], /^info this is over: not looked at: .*mode 0777/);
  });

  it("escapes names in what it says", () => {
    look([join(directory, "a\x1b[2J\nb")]).scan();
    assert.match(lines[0], /a\\x1b\[2J\\nb/);
  });
});
