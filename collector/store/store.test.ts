/** What is stored comes out again, found by everything it has. */
import assert from "node:assert/strict";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, it } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { fromBinary } from "@bufbuild/protobuf";
import { ExportTraceServiceRequestSchema } from "../../proto/gen/otlp_pb.ts";
import { folders } from "../testing/run.ts";
import { openQueries } from "./queries/queries.ts";
import { InvalidQuery, type SpanFilter, type StoreQueries, type Value } from "./queries/types.ts";
import { openStore, type Store, type StoreOptions } from "./store.ts";
import { anyValue, hexId, id, keyValues, span, T0, traces } from "./testing/requests.ts";

const folder = folders("store");

/** A store, and questions to it: once as its own process asks them, once as another one does. */
function withStore(
  work: (store: Store, queries: () => StoreQueries[]) => void,
  options: Partial<StoreOptions> = {},
): void {
  const path = join(folder(), "deep", "store.db");
  const store = openStore({ path, maxBytes: 2 ** 30, maxAgeMs: 1e12, ...options });
  const inside = openQueries(path, store.tails);
  const outside = openQueries(path);
  try {
    work(store, () => [inside, outside]);
  } finally {
    inside.close();
    outside.close();
    store.close();
  }
  assert.equal(existsSync(`${path}.lock`), false);
}

const names = (queries: StoreQueries, filter: SpanFilter): string[] =>
  queries.searchSpans(filter).rows.map(({ name }) => name);

describe("a store of spans", () => {
  // The same from memory, and from windows that were written.
  for (const windowBytes of [1, 2 ** 24]) {
    const how = windowBytes === 1 ? "in written windows" : "in memory";
    it(`finds spans by everything they have, ${how}`, () => {
      withStore((store, queries) => {
        store.ingest([
          traces("shop", [
            span(1, 1, { name: "GET /cart", kind: 2, values: { n: { intValue: "1" } } }),
            span(1, 2, {
              name: "query",
              kind: 3,
              parentSpanId: id(8, 1),
              status: { code: 2, message: "no" },
              values: { n: { stringValue: "1" }, ok: { boolValue: true } },
            }),
          ], { zone: { stringValue: "a" } }),
          traces("bank", [
            span(2, 3, {
              name: "GET /pay",
              kind: 2,
              endTimeUnixNano: T0 + 10_000_000_000n,
              values: { n: { doubleValue: 1 } },
            }),
          ]),
        ]);
        for (const asked of queries()) {
          assert.deepEqual(names(asked, {}), ["GET /pay", "query", "GET /cart"]);
          assert.deepEqual(names(asked, { services: ["shop"] }), ["query", "GET /cart"]);
          assert.deepEqual(names(asked, { services: ["none"] }), []);
          assert.deepEqual(names(asked, { name: "query" }), ["query"]);
          assert.deepEqual(names(asked, { nameContains: "get" }), ["GET /pay", "GET /cart"]);
          assert.deepEqual(names(asked, { status: "error" }), ["query"]);
          assert.deepEqual(names(asked, { kind: "server" }), ["GET /pay", "GET /cart"]);
          assert.deepEqual(names(asked, { root: false }), ["query"]);
          assert.deepEqual(names(asked, { minDurationNs: 5_000_001 }), ["GET /pay"]);
          assert.deepEqual(names(asked, { maxDurationNs: 5_000_000 }), ["query", "GET /cart"]);
          assert.deepEqual(names(asked, { toMs: Number(T0 / 1_000_000n) + 2 }), ["GET /cart"]);
          assert.deepEqual(names(asked, { fromMs: Number(T0 / 1_000_000n) + 3 }), ["GET /pay"]);
          const by = (key: string, value: Value): string[] =>
            names(asked, { attributes: [{ key, value }] });
          assert.deepEqual(by("n", { intValue: "1" }), ["GET /cart"]);
          assert.deepEqual(by("n", { stringValue: "1" }), ["query"]);
          assert.deepEqual(by("n", { doubleValue: 1 }), ["GET /pay"]);
          assert.deepEqual(by("n", { boolValue: true }), []);
          assert.deepEqual(by("ok", { boolValue: true }), ["query"]);
          // Of the resource and of the scope's process alike.
          assert.deepEqual(by("zone", { stringValue: "a" }), ["query", "GET /cart"]);
          assert.deepEqual(by("service.name", { stringValue: "bank" }), ["GET /pay"]);
          assert.deepEqual(
            names(asked, {
              attributes: [
                { key: "n", value: { stringValue: "1" } },
                { key: "zone", value: { stringValue: "a" } },
              ],
              status: "error",
            }),
            ["query"],
          );
          assert.deepEqual(asked.services(), ["bank", "shop"]);
          assert.deepEqual(asked.spanNames("shop"), ["GET /cart", "query"]);
          assert.deepEqual(asked.attributeKeys(), ["n", "ok", "service.name", "zone"]);
          assert.deepEqual(
            asked.scatter({ services: ["shop"] }).map((
              { durationNs, error },
            ) => [durationNs, error]),
            [[5_000_000, true], [5_000_000, false]],
          );
          const [trace] = asked.searchTraces({ name: "query" }).rows;
          assert.equal(trace.root.name, "GET /cart");
          assert.deepEqual([trace.spans, trace.errors, trace.services], [2, 1, ["shop"]]);
          const { services, calls } = asked.overview({});
          assert.deepEqual(
            services.map((
              { service, requests, errors, spans },
            ) => [service, requests, errors, spans]),
            [["bank", 1, 0, 1], ["shop", 1, 0, 2]],
          );
          assert.deepEqual(calls, []);
          assert.throws(() => asked.trace("xyz"), InvalidQuery);
          assert.throws(() => asked.searchSpans({}, { limit: 0 }), InvalidQuery);
          assert.throws(() => asked.searchSpans({}, { cursor: "-1" }), InvalidQuery);
          assert.equal(asked.trace(hexId(16, 99)), null);
        }
      }, { windowBytes });
    });
  }

  it("gives back what it was given, whatever it is", () => {
    const values: Record<string, Value> = {
      text: { stringValue: "\u0000\u001b[31m<script>alert(1)</script>\u202e\ud83d\ude00" },
      "": { stringValue: "" },
      big: { intValue: "-9223372036854775808" },
      nan: { doubleValue: "NaN" },
      bytes: { bytesValue: "AP8=" },
      nothing: {},
      nested: {
        kvlistValue: {
          values: [
            {
              key: "a",
              value: { arrayValue: { values: [{ intValue: "1" }, { stringValue: "1" }] } },
            },
            { key: "b", value: { kvlistValue: { values: [] } } },
          ],
        },
      },
      megabytes: { stringValue: "x".repeat(3_000_000) },
    };
    const name = "\u0000\n\u001b]0;title\u0007 " + "n".repeat(1_000_000);
    withStore((store, queries) => {
      const request = traces("hostile \u0007", [span(7, 8, {
        name,
        traceState: "a=b",
        flags: 0x101,
        values,
        status: { code: 2, message: "bad\u0000" },
        events: [{ name: "e\u0000", timeUnixNano: T0, attributes: keyValues(values) }],
        links: [{ traceId: id(16, 1), spanId: id(8, 2), attributes: keyValues({}) }],
        droppedAttributesCount: 3,
      })]);
      store.ingest([request]);
      for (const asked of queries()) {
        const trace = asked.trace(hexId(16, 7))!;
        const [got] = trace.spans;
        assert.ok(got.name === name, got.name.slice(0, 40));
        const expected = Object.entries(values).map(([key, value]) => ({ key, value }));
        for (const [i, attribute] of expected.entries()) {
          if (attribute.key === "megabytes") continue;
          assert.deepEqual(got.attributes[i], attribute);
          assert.deepEqual(got.events[0].attributes[i], attribute);
        }
        assert.equal(got.events[0].name, "e\u0000");
        assert.equal(got.links[0].traceId, hexId(16, 1));
        assert.equal(got.statusMessage, "bad\u0000");
        assert.equal(got.droppedAttributes, 3);
        assert.equal(trace.resources[got.resourceId].service, "hostile \u0007");
        for (const key of ["big", "nan", "bytes", "nested", "megabytes", "text"]) {
          const found = asked.searchSpans({ attributes: [{ key, value: values[key] }] }).rows;
          assert.equal(found.length, 1, key);
        }
        const other = { kvlistValue: { values: [{ key: "a", value: { intValue: "1" } }] } };
        assert.deepEqual(names(asked, { attributes: [{ key: "nested", value: other }] }), []);
        assert.ok(isDeepStrictEqual(
          fromBinary(ExportTraceServiceRequestSchema, asked.traceAsOtlp(hexId(16, 7))!),
          fromBinary(ExportTraceServiceRequestSchema, request.body),
        ));
        JSON.stringify(trace);
      }
    });
  });

  it("keeps times that durations can't say", () => {
    withStore((store, queries) => {
      const odd = [
        span(1, 1, { startTimeUnixNano: T0, endTimeUnixNano: T0 - 5n }),
        span(1, 2, { startTimeUnixNano: 0n, endTimeUnixNano: (1n << 63n) - 1n }),
        span(1, 3, { startTimeUnixNano: T0 + 123_456_789n, endTimeUnixNano: T0 + 123_456_790n }),
      ];
      const request = traces("clock", odd);
      store.ingest([request]);
      const sent = fromBinary(ExportTraceServiceRequestSchema, request.body);
      for (const asked of queries()) {
        const got = fromBinary(ExportTraceServiceRequestSchema, asked.traceAsOtlp(hexId(16, 1))!);
        const times = ({ resourceSpans }: typeof sent): bigint[][] =>
          resourceSpans[0].scopeSpans[0].spans.map((each) => [
            each.startTimeUnixNano,
            each.endTimeUnixNano,
          ]);
        assert.equal(times(got)[0][1], T0 - 5n);
        assert.deepEqual(times(got)[2], times(sent)[2]);
        assert.equal(asked.trace(hexId(16, 1))!.spans.length, 3);
      }
    });
  });

  it("takes a span once, however often it comes, also after it was opened again", () => {
    const path = join(folder(), "store.db");
    const options = { path, maxBytes: 2 ** 30, maxAgeMs: 1e12, windowBytes: 2_000 };
    const request = (from: number): ReturnType<typeof traces> =>
      traces("s", Array.from({ length: 50 }, (_, i) => span(Math.ceil((from + i) / 3), from + i)));
    let store = openStore(options);
    store.ingest([request(1), request(1)]);
    assert.deepEqual(store.ingest([request(26)]), [{ taken: 50, rejected: 0 }]);
    store.close();
    store = openStore(options);
    store.ingest([request(1), request(26), request(60)]);
    const queries = openQueries(path, store.tails);
    assert.equal(queries.state().spans, 75 + 34);
    assert.equal(queries.trace(hexId(16, 5))!.spans.length, 3);
    queries.close();
    store.close();
  });

  it("finds all of a trace whose spans come in any order, and who called whom", () => {
    withStore((store, queries) => {
      // The child first, then hundreds of others, then its parent.
      const child = span(1, 2, { kind: 2, parentSpanId: id(8, 1), status: { code: 2 } });
      store.ingest([traces("callee", [child])]);
      const others = Array.from({ length: 100 }, (_, i) => span(100 + i, 100 + i));
      store.ingest([traces("other", others)]);
      store.ingest([traces("caller", [span(1, 1, { kind: 2 })])]);
      for (const asked of queries()) {
        const trace = asked.trace(hexId(16, 1))!;
        assert.deepEqual(trace.spans.map(({ service }) => service), ["caller", "callee"]);
        const { calls, services } = asked.overview({});
        assert.deepEqual(
          calls.map(({ from, to, count, errors }) => [from, to, count, errors]),
          [["caller", "callee", 1, 1]],
        );
        assert.deepEqual(services.map(({ requests }) => requests), [1, 1, 100]);
        const { p50 } = services[0];
        assert.ok(Math.abs(p50 / 5_000_000 - 1) < 0.05, String(p50));
      }
    }, { windowBytes: 3_000 });
  });

  it("turns pages without losing or repeating a row", () => {
    withStore((store, queries) => {
      const spans = Array.from({ length: 95 }, (_, i) => span(Math.floor(i / 5) + 1, i + 1));
      for (let i = 0; i < 95; i += 5) store.ingest([traces("s", spans.slice(i, i + 5))]);
      for (const asked of queries()) {
        const seen: string[] = [];
        for (let cursor: string | null = ""; cursor !== null;) {
          const page = asked.searchSpans({}, { limit: 10, ...(cursor === "" ? {} : { cursor }) });
          seen.push(...page.rows.map(({ spanId }) => spanId));
          cursor = page.next;
        }
        assert.deepEqual(seen, spans.map((_, i) => hexId(8, 95 - i)));
        const ids: string[] = [];
        for (let cursor: string | null = ""; cursor !== null;) {
          const page = asked.searchTraces({}, { limit: 4, ...(cursor === "" ? {} : { cursor }) });
          ids.push(...page.rows.map(({ traceId }) => traceId));
          cursor = page.next;
        }
        assert.deepEqual(ids, Array.from({ length: 19 }, (_, i) => hexId(16, 19 - i)));
      }
    }, { windowBytes: 700 });
  });

  it("keeps what it can of a request that is damaged", () => {
    withStore((store, queries) => {
      const good = traces("s", [span(1, 1)]);
      const zeros = traces("s", [span(1, 2), { ...span(1, 3), spanId: new Uint8Array(8) }]);
      const cut = { ...good, body: good.body.subarray(0, -3) };
      const nonsense = { ...good, body: new TextEncoder().encode("nonsense") };
      const outcomes = store.ingest([zeros, cut, nonsense]);
      assert.deepEqual(outcomes.map(({ taken, rejected }) => [taken, rejected]), [
        [1, 1],
        [0, 1],
        [0, 1],
      ]);
      for (const { reason } of outcomes) assert.ok(reason);
      for (const asked of queries()) assert.deepEqual(names(asked, {}), ["span 2"]);
    });
  });

  it("removes the oldest when it is full, and what is too old, while more comes", () => {
    const maxBytes = 2 ** 20;
    withStore((store, queries) => {
      const text = { stringValue: "x".repeat(2_000) };
      for (let i = 0; i < 200; i++) {
        store.ingest([
          traces(
            "s",
            Array.from(
              { length: 10 },
              (_, k) =>
                span(i + 1, i * 10 + k + 1, { values: { text, i: { intValue: String(i) } } }),
            ),
          ),
        ]);
        store.retain();
      }
      for (const asked of queries()) {
        const { bytes, spans } = asked.state();
        assert.ok(bytes <= maxBytes, String(bytes));
        assert.ok(spans > 100 && spans < 1_000, String(spans));
        const by = (i: number): number =>
          asked.searchSpans({ attributes: [{ key: "i", value: { intValue: String(i) } }] }).rows
            .length;
        assert.equal(by(199), 10);
        assert.equal(by(0), 0);
        assert.equal(asked.trace(hexId(16, 1)), null);
      }
      // What comes again after it was removed is new.
      store.ingest([traces("s", [span(1, 1)])]);
      for (const asked of queries()) assert.notEqual(asked.trace(hexId(16, 1)), null);
      const later = Date.now() + 1e12 + 1;
      while (store.retain(later)) { /* One portion at a time. */ }
      for (const asked of queries()) {
        assert.equal(asked.state().spans, 0);
        assert.deepEqual(asked.searchSpans({}).rows, []);
      }
    }, { maxBytes });
  });

  it("has a resource once, however it was encoded", () => {
    withStore((store, queries) => {
      const request = traces("s", [span(1, 1)]);
      const { body } = request;
      // The length of the value of service.name as a varint of two bytes.
      const at = body.findIndex((_, i) => body[i] === 1 && body[i + 1] === 0x73);
      assert.ok(at > 0);
      const fields = [...body];
      for (const position of enclosing(body, at)) fields[position] += 1;
      fields.splice(at, 1, 0x81, 0x00);
      const { body: other } = traces("s", [span(1, 2)]);
      store.ingest([{ ...request, body: Uint8Array.from(fields) }, { ...request, body: other }]);
      for (const asked of queries()) {
        assert.equal(asked.trace(hexId(16, 1))!.spans.length, 2);
        assert.deepEqual(asked.resources().map(({ service }) => service), ["s"]);
      }
    });
  });

  it("gives back what is free when much was removed, while more comes", () => {
    const path = join(folder(), "store.db");
    const [maxBytes, maxAgeMs] = [2 ** 24, 1e12];
    const store = openStore({ path, maxBytes, maxAgeMs });
    const text = { stringValue: "x".repeat(10_000) };
    const add = (number: number): void => {
      store.ingest([traces("s", [span(number, number, { values: { text } })])]);
    };
    for (let i = 1; i <= 1_000; i++) add(i);
    const sizeOf = (): number => {
      const db = new DatabaseSync(path);
      db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
      db.close();
      return statSync(path).size;
    };
    const full = sizeOf();
    assert.ok(full > 10_000_000, String(full));
    const later = Date.now() + maxAgeMs + 1;
    let steps = 0;
    for (let number = 1_001; store.retain(later); number++, steps++) {
      if (number < 1_050) add(number);
    }
    // A few pages at a time.
    assert.ok(steps > 10, String(steps));
    const left = sizeOf();
    assert.ok(left < maxBytes / 8, `${left} of ${full}`);
    const queries = openQueries(path, store.tails);
    assert.equal(queries.trace(hexId(16, 1)), null);
    add(2_000);
    assert.equal(queries.trace(hexId(16, 2_000))!.spans.length, 1);
    queries.close();
    store.close();
  });

  it("tells of losses, and of processes that were cut off", () => {
    withStore((store, queries) => {
      const nowMs = Number(T0 / 1_000_000n);
      const loss = { process: "p", file: "f", ring: "spans", reason: "full" };
      store.recordLoss([
        { timeMs: nowMs, count: 3, ...loss },
        { timeMs: nowMs + 1, count: 0, ...loss },
      ]);
      const cut = span(1, 1, {
        values: { "otlp_mmap.interrupted": { boolValue: true } },
        status: { code: 2, message: "the process ended before the span did" },
      });
      store.ingest([traces("dead", [cut, span(1, 2)]), traces("alive", [span(2, 3)])]);
      for (const asked of queries()) {
        assert.deepEqual(asked.losses({}), [{ timeMs: nowMs, count: 3, ...loss }]);
        const crashes = asked.crashes();
        assert.deepEqual(crashes.map(({ resource }) => resource.service), ["dead"]);
        const report = asked.crash(crashes[0].resource.id)!;
        assert.deepEqual(report.open.map(({ spanId }) => spanId), [hexId(8, 1)]);
        assert.deepEqual(report.ended.map(({ spanId }) => spanId), [hexId(8, 2)]);
        assert.equal(report.lastNs, String(T0 + 7_000_000n));
        assert.deepEqual(names(asked, { interrupted: true }), ["span 1"]);
        assert.equal(asked.crash(12_345), null);
      }
      // Its spans all ended: only its file says how it did.
      const pid = { "process.pid": { intValue: "17" } };
      store.ingest([traces("quiet", [span(3, 4)], pid), traces("quiet", [span(4, 5)])]);
      const death = { service: "quiet", instance: "", timeNs: T0 + 8_000_000n };
      const unknown = { ...death, pid: 18 };
      assert.deepEqual(store.recordDeaths([{ ...death, pid: 17 }, unknown]), [unknown]);
      // As a collector says that was killed before it gave the file back.
      store.recordDeaths([{ ...death, pid: 17, timeNs: T0 + 9_000_000n }]);
      for (const asked of queries()) {
        const [quiet, dead] = asked.crashes();
        assert.deepEqual([quiet.resource.service, dead.resource.service], ["quiet", "dead"]);
        assert.deepEqual([quiet.interrupted, quiet.lastNs], [0, String(T0 + 8_000_000n)]);
        const report = asked.crash(quiet.resource.id)!;
        assert.deepEqual([report.open, report.lastNs], [[], String(T0 + 9_000_000n)]);
        assert.deepEqual(report.ended.map(({ spanId }) => spanId), [hexId(8, 4)]);
      }
    });
  });

  it("compares values by what they are, however they are encoded", () => {
    withStore((store, queries) => {
      // 5 as a varint of three bytes, as the collector's own records have them.
      const request = traces("s", [span(1, 1, { values: { n: { intValue: "5" } } })]);
      const { body } = request;
      const at = body.findIndex((_, i) => body[i] === 0x18 && body[i + 1] === 5);
      assert.ok(at > 0);
      const fields = [...body];
      fields.splice(at + 1, 1, 0x85, 0x80, 0x00);
      // Every message around it is two bytes longer.
      const lengths = enclosing(body, at);
      for (const position of lengths) fields[position] += 2;
      store.ingest([{ ...request, body: Uint8Array.from(fields) }]);
      for (const asked of queries()) {
        assert.deepEqual(names(asked, { attributes: [{ key: "n", value: { intValue: "5" } }] }), [
          "span 1",
        ]);
      }
      assert.equal(anyValue({ intValue: "5" }).value.value, 5n);
    });
  });
});

/** Positions of the lengths of the messages around a position, all of which are of one byte. */
function enclosing(bytes: Uint8Array, target: number, from = 0, to = bytes.length): number[] {
  for (let at = from; at < to;) {
    const type = bytes[at] & 7;
    const lengthAt = at + 1;
    if (type === 2) {
      const end = lengthAt + 1 + bytes[lengthAt];
      if (target < end) {
        return [lengthAt, ...enclosing(bytes, target, lengthAt + 1, end)];
      }
      at = end;
    } else at = type === 1 ? lengthAt + 8 : lengthAt + 1;
  }
  return [];
}
