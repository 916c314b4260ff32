/** `otlp-mmap sql` as its users run it, while a collector writes. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { gunzipSync } from "node:zlib";
import { observe, startCollector } from "../../../tests/support/collector.ts";
import { startSink } from "../../../tests/peers/sink.ts";
import { receivedBy } from "../../../tests/support/collector.ts";
import { ownRuntime } from "../../../tests/support/runtimes.ts";
import { folders } from "../../testing/run.ts";
import { openStore } from "../store.ts";
import { id, keyValues, logs, metrics, span, T0, traces } from "../testing/requests.ts";
import { askSql } from "./rows.ts";
import { openForSql, VIEWS } from "./views.ts";

const folder = folders("sql");

async function sql(...args: string[]): Promise<{ code: number | null; text: string }> {
  const program = observe(ownRuntime, "collector/main.ts", ["sql", ...args]);
  const { code } = await program.ended;
  return { code, text: program.text() };
}

/** Writes a file with 14 spans, 8 log records and 42 measurements (tests/vectors/README.md). */
function vectorFile(path: string): void {
  const vector = new URL("../../../tests/vectors/upstream-python.otlp.gz", import.meta.url);
  writeFileSync(path, gunzipSync(readFileSync(vector)));
}

describe("sql", () => {
  it("prints tables, CSV and JSON of what a collector stores, while it runs", async () => {
    const at = folder();
    const store = join(at, "deep", "store.db");
    const sink = await startSink();
    const collector = startCollector([at, `--store=${store}`, "--endpoint", sink.url]);
    try {
      vectorFile(join(at, "app.otlp"));
      const count = "SELECT (SELECT count(*) FROM spans) s, (SELECT count(*) FROM logs) l, " +
        "(SELECT count(*) FROM metrics) m";
      let found = "";
      for (const deadline = Date.now() + 60_000; found !== '[{"s":14,"l":8,"m":7}]';) {
        assert.ok(Date.now() < deadline, `${found} ${collector.text()}`);
        const { code, text } = await sql("--store", store, "--json", count);
        // Before the collector has made it, there is none.
        if (code === 0) found = text.replaceAll("\n", "");
      }
      assert.equal(receivedBy(sink).length, 14);
      const second = startCollector([at, `--store=${store}`]);
      assert.equal((await second.ended).code, 2);
      assert.match(second.text(), new RegExp(`is used by process ${collector.child.pid}:`));
      const refused = await sql("--store", store, "DELETE FROM loss");
      assert.equal(refused.code, 1);
      assert.match(refused.text, /the statement can't be answered/);
      assert.equal((await collector.stop()).code, 0, collector.text());
      const { code, text } = await sql("--store", store, "--csv", count);
      assert.deepEqual([code, text], [0, "s,l,m\n14,8,7\n"]);
    } finally {
      await collector.stop("SIGKILL");
      await sink.stop();
    }
  });

  it("shows what is hostile as text, and says what is wrong", async () => {
    const path = join(folder(), "store.db");
    const store = openStore({ path, maxBytes: 2 ** 30, maxAgeMs: 1e12 });
    store.ingest([traces("s", [
      span(1, 1, {
        name: 'a"b,\u001b[31m\n<script>',
        values: { n: { intValue: "9007199254740993" } },
      }),
    ])]);
    const table = await sql("--store", path, "SELECT name, status FROM spans");
    assert.equal(table.code, 0);
    const lines = table.text.split("\n").map((line) => line.replace(/ +/g, " "));
    assert.deepEqual(lines.slice(0, 1), ["name status"]);
    assert.equal(lines[2], 'a"b,\\x1b[31m\\n<script> unset');
    const csv = await sql("--store", path, "--csv", "SELECT name FROM spans");
    assert.equal(csv.text, 'name\n"a""b,\u001b[31m\n<script>"\n');
    const json = await sql("--store", path, "--json", "SELECT attributes ->> 'n' AS n FROM spans");
    assert.equal(json.text, '[\n{"n":9007199254740993}\n]\n');
    const wrong = await sql("--store", path, "SELECT no_such FROM spans");
    assert.equal(wrong.code, 1);
    assert.match(wrong.text, /no such column: no_such/);
    // In the middle of an answer.
    const late = await sql("--store", path, "SELECT json(name) FROM spans");
    assert.deepEqual([late.code, /malformed JSON/.test(late.text)], [1, true]);
    const two = await sql("--store", path, "SELECT 1; SELECT 2");
    assert.equal(two.code, 1);
    assert.match(two.text, /^[^\n]*the statement can't be answered: it is more than one: ask one /);
    for (const more of ["SELECT 1; nonsense", "SELECT 1;; -- c\nSELECT '--'"]) {
      const { code, text } = await sql("--store", path, more);
      assert.deepEqual([code, /more than one/.test(text)], [1, true], more);
    }
    const missing = await sql("--store", `${path}.not`, "SELECT 1");
    assert.equal(missing.code, 2);
    assert.match(missing.text, /there is no store/);
    store.close();
  });

  it("prints what it finds while it finds it, in the order asked for, and nothing of it is kept", async () => {
    const path = join(folder(), "store.db");
    const store = openStore({ path, maxBytes: 2 ** 30, maxAgeMs: 1e12 });
    // Without an end: whoever waited for all of it would wait forever.
    const endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) " +
      "SELECT i, i AS i, NULL AS nix, 9007199254740993 AS large FROM n";
    for (
      const [flags, first] of [
        [["--csv"], "i,i,nix,large\n1,1,,9007199254740993\n2,2,,9007199254740993\n"],
        [["--json"], '[\n{"i":1,"i":1,"nix":null,"large":9007199254740993},\n'],
        [[], "i     i     nix  large\n"],
      ] as const
    ) {
      const args = ["sql", "--store", path, ...flags, endless];
      const program = observe(ownRuntime, "collector/main.ts", args);
      await program.wrote(/\n.*\b2000\b/);
      await program.stop("SIGKILL");
      assert.equal(program.text().slice(0, first.length), first);
    }
    store.close();
    const db = openForSql(path);
    const rowsOf = (text: string): unknown[] => {
      const rows: unknown[] = [];
      askSql(db, text).forEach((row) => rows.push(row));
      return rows;
    };
    const numbers = "WITH n(i) AS (VALUES (2), (3), (1)) SELECT i FROM n ORDER BY i DESC";
    assert.deepEqual(rowsOf(`${numbers};`), [[3n], [2n], [1n]]);
    assert.deepEqual(rowsOf(`/* ; */ ${numbers};; -- no more\n;`), [[3n], [2n], [1n]]);
    assert.deepEqual(rowsOf("SELECT ';' -- ; SELECT 2"), [[";"]]);
    assert.deepEqual(rowsOf("EXPLAIN QUERY PLAN SELECT 1").length, 1);
    const many = Array.from({ length: 300 }, (_, i) => i);
    assert.deepEqual(rowsOf(`SELECT ${many.join()}`), [many.map(BigInt)]);
    assert.deepEqual(rowsOf("SELECT 1 WHERE 0"), []);
    db.close();
  });

  it("has the views and columns that its help lists", () => {
    const path = join(folder(), "store.db");
    const store = openStore({ path, maxBytes: 2 ** 30, maxAgeMs: 1e12 });
    const value = {
      a: { boolValue: true },
      b: { doubleValue: 1 },
      c: { arrayValue: { values: [{ intValue: "1" }] } },
    };
    store.ingest([
      traces("s", [span(1, 1, {
        values: value,
        parentSpanId: id(8, 9),
        status: { code: 2, message: "no" },
        events: [{ name: "e", timeUnixNano: T0 }],
        links: [{ traceId: id(16, 2), spanId: id(8, 3) }],
        name: "a\u0000b",
      })]),
      logs("s", [{ timeUnixNano: T0, attributes: keyValues(value), severityText: "INFO" }]),
      metrics("s", 1, [{
        name: "m",
        data: {
          case: "histogram",
          value: { dataPoints: [{ timeUnixNano: T0, count: 2n, attributes: [] }] },
        },
      }] as never),
    ]);
    store.recordLoss([
      { timeMs: 0, process: "p", file: "f", ring: "spans", reason: "full", count: 2 },
    ]);
    store.close();
    const db = openForSql(path);
    for (const [name, { columns }] of Object.entries(VIEWS)) {
      const row = db.prepare(`SELECT * FROM ${name}`);
      row.setReadBigInts(true);
      assert.deepEqual(Object.keys(row.get()!), Object.keys(columns), name);
    }
    const one = (query: string): unknown => Object.values(db.prepare(query).get()!)[0];
    assert.equal(one("SELECT name FROM spans"), "a\u2400b");
    assert.equal(one("SELECT attributes FROM spans"), '{"a":true,"b":1.0,"c":[1]}');
    assert.equal(one("SELECT attributes FROM logs"), '{"a":true,"b":1.0,"c":[1]}');
    assert.equal(one("SELECT parent_id FROM spans"), "0000000000000009");
    assert.equal(one("SELECT events ->> '$[0].name' FROM spans"), "e");
    assert.equal(one("SELECT links ->> '$[0].span_id' FROM spans"), "0000000000000003");
    assert.equal(one("SELECT status || message FROM spans"), "errorno");
    assert.equal(one("SELECT start FROM spans"), "2025-10-09T08:53:20.001Z");
    assert.equal(one("SELECT data ->> 'count' FROM metrics"), "2");
    assert.equal(one("SELECT time FROM loss"), "1970-01-01T00:00:00.000Z");
    assert.throws(() => db.exec("CREATE TABLE more (a)"));
    assert.throws(() => db.exec("INSERT INTO main.loss VALUES (9, 0, '', '', '', '', 1)"));
    db.close();
  });
});
