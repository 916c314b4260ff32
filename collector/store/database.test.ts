/** What a store refuses to open, and that it leaves it as it is. */
import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { describe, it } from "node:test";
import { folders } from "../testing/run.ts";
import { openForReading, openForWriting, pragma, StoreError } from "./database.ts";
import { openQueries } from "./queries/queries.ts";
import { migrate, MIGRATIONS, VERSION } from "./schema.ts";
import { openStore } from "./store.ts";
import { hexId, span, traces } from "./testing/requests.ts";

const folder = folders("database");

/** The message with which it is refused. */
function refusal(open: () => { close(): void }): string {
  try {
    open().close();
  } catch (error) {
    assert.ok(error instanceof StoreError, String(error));
    return error.message;
  }
  return "";
}

describe("the database of a store", () => {
  it("has one writer, and says who it is", () => {
    const path = join(folder(), "store.db");
    const first = openForWriting(path);
    const message = refusal(() => openForWriting(path));
    assert.match(message, new RegExp(`is used by process ${process.pid}: end that collector`));
    const reader = openForReading(path);
    reader.close();
    first.close();
    openForWriting(path).close();
    assert.equal(statSync(path).mode & 0o777, 0o600);
  });

  it("of a newer version stays as it is", () => {
    const path = join(folder(), "store.db");
    openForWriting(path).close();
    const db = new DatabaseSync(path);
    db.exec(`PRAGMA user_version = ${VERSION + 1}; PRAGMA wal_checkpoint(TRUNCATE)`);
    db.close();
    const before = readFileSync(path);
    const expected = /was written by a newer version.*left as it is.*--store/;
    assert.match(refusal(() => openForWriting(path)), expected);
    assert.match(refusal(() => openForReading(path)), expected);
    assert.deepEqual(readFileSync(path), before);
  });

  it("that is damaged, or no database, stays as it is", () => {
    const path = join(folder(), "store.db");
    for (const bytes of ["this is no database, whatever else ".repeat(40), "short"]) {
      writeFileSync(path, bytes);
      assert.match(refusal(() => openForWriting(path)), /damaged, or no database.*left as it is/);
      assert.match(refusal(() => openForReading(path)), /damaged, or no database/);
      assert.equal(readFileSync(path, "utf8"), bytes);
    }
  });

  it("that is a directory is called that", () => {
    const path = folder();
    const expected = /can't be opened: it is a directory: name a file in it$/;
    assert.match(refusal(() => openForReading(path)), expected);
    assert.match(refusal(() => openForWriting(path)), expected);
  });

  it("of another program stays as it is", () => {
    const path = join(folder(), "store.db");
    const db = new DatabaseSync(path);
    db.exec("CREATE TABLE mine (a); INSERT INTO mine VALUES (1)");
    db.close();
    const before = readFileSync(path);
    assert.match(refusal(() => openForWriting(path)), /database of another program/);
    assert.deepEqual(readFileSync(path), before);
  });

  it("that is not there is not made by who reads", () => {
    const path = join(folder(), "store.db");
    assert.match(refusal(() => openForReading(path)), /there is no store .*--store/);
    assert.throws(() => statSync(path));
  });

  it("of an older version becomes the present one, with what it holds", () => {
    const path = join(folder(), "store.db");
    const store = openStore({ path, maxBytes: 2 ** 30, maxAgeMs: 1e12 });
    store.ingest([traces("s", [span(1, 1), span(1, 2)])]);
    store.close();
    const db = new DatabaseSync(path);
    const later = [
      ...MIGRATIONS,
      "ALTER TABLE spans ADD COLUMN note TEXT; UPDATE spans SET note = 'was ' || name",
      "CREATE INDEX spans_note ON spans (note)",
    ];
    // A step that fails leaves the version before it, and nothing of itself.
    const broken = [
      ...later.slice(0, -1),
      "CREATE INDEX spans_note ON spans (note); SELECT nothing",
    ];
    assert.throws(() => migrate(db, VERSION, broken));
    const version = (): number =>
      (db.prepare("PRAGMA user_version").get() as { user_version: number }).user_version;
    assert.equal(version(), VERSION + 1);
    migrate(db, version(), later);
    assert.equal(version(), VERSION + 2);
    assert.deepEqual(
      db.prepare("SELECT note FROM spans ORDER BY id").all().map((row) => ({ ...row })),
      [{ note: "was span 1" }, { note: "was span 2" }],
    );
    db.close();
  });

  it("that was made before pages could be given back can do so from its next start on", () => {
    const path = join(folder(), "store.db");
    const old = new DatabaseSync(path);
    migrate(old, 0, MIGRATIONS.slice(0, 1));
    old.exec("INSERT INTO loss VALUES (1, 2, 'p', 'f', 'r', 'why', 3)");
    assert.equal(pragma(old, "auto_vacuum"), 0);
    old.close();
    const { db, close } = openForWriting(path);
    assert.deepEqual([pragma(db, "auto_vacuum"), pragma(db, "user_version")], [2, VERSION]);
    assert.equal((db.prepare("SELECT count FROM loss").get() as { count: number }).count, 3);
    close();
    openForReading(path).close();
  });

  it("that was made, but not filled, is filled", () => {
    const path = join(folder(), "store.db");
    // As a process leaves it that is killed before its first transaction.
    writeFileSync(path, "");
    const store = openStore({ path, maxBytes: 2 ** 30, maxAgeMs: 1e12 });
    store.ingest([traces("s", [span(1, 1)])]);
    store.close();
    const queries = openQueries(path);
    assert.equal(queries.trace(hexId(16, 1))!.spans.length, 1);
    queries.close();
  });
});
