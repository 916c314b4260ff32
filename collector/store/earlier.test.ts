/** What is sent again after a kill is stored once. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { folders } from "../testing/run.ts";
import { openForWriting } from "./database.ts";
import { createEarlier } from "./earlier.ts";
import { openQueries } from "./queries/queries.ts";
import { openStore, type Store } from "./store.ts";
import { anyValue, id, keyValues, logs, metrics, T0 } from "./testing/requests.ts";
import { createTail } from "./window.ts";
import { loadTail } from "./write/seal.ts";

const folder = folders("earlier");
const record = (number: number, text: string, more: object = {}): object => ({
  timeUnixNano: T0 + BigInt(number),
  body: anyValue({ stringValue: text }),
  ...more,
});

describe("log records that are sent again", () => {
  for (const windowBytes of [1, 2 ** 24]) {
    it(`are known after a start, windows of ${windowBytes} bytes`, () => {
      const path = join(folder(), "store.db");
      const open = (): Store => openStore({ path, maxBytes: 2 ** 30, maxAgeMs: 1e12, windowBytes });
      const counted = (store: Store): number => {
        const queries = openQueries(path, store.tails);
        const { logs } = queries.state();
        queries.close();
        return logs;
      };
      const rich = record(1, "a\u0000b", {
        severityNumber: 17,
        traceId: id(16, 1),
        spanId: id(8, 2),
        attributes: keyValues({ n: { intValue: "3" } }),
      });
      const list = record(2, "", {
        body: anyValue({ arrayValue: { values: [{ intValue: "1" }] } }),
      });
      const twin = record(3, "twin");
      const timeless = { body: anyValue({ stringValue: "no time" }) };
      const first = open();
      // Twice the same: both are there.
      first.ingest([logs("shop", [rich, list, twin, twin, timeless]), logs("bank", [twin])]);
      first.ingest([logs("shop", [rich])]);
      assert.equal(counted(first), 7);
      first.close();

      const second = open();
      // Cut into requests in another way.
      const again = second.ingest([
        logs("bank", [twin]),
        logs("shop", [rich, twin]),
        logs("shop", [twin, list]),
        logs("shop", [rich]),
      ]);
      assert.deepEqual(again.map(({ taken, rejected }) => [taken, rejected]), [
        [1, 0],
        [2, 0],
        [2, 0],
        [1, 0],
      ]);
      assert.equal(counted(second), 7);
      // Each stood for one; what differs in anything is another one; without a time nobody knows.
      second.ingest([
        logs("shop", [twin, timeless]),
        logs("bank", [rich, record(3, "twin", { severityNumber: 1 }), record(4, "twin")]),
      ]);
      assert.equal(counted(second), 12);
      second.ingest([logs("bank", [rich])]);
      assert.equal(counted(second), 13);
      second.close();
    });
  }

  it("are known by thousands of one time, and those that are not are new", () => {
    const path = join(folder(), "store.db");
    const many = Array.from({ length: 6_000 }, (_, i) => record(1, `record ${i}`));
    const halves = [logs("s", many.slice(0, 3_000)), logs("s", many.slice(3_000))];
    for (let round = 0; round < 3; round++) {
      const store = openStore({ path, maxBytes: 2 ** 30, maxAgeMs: 1e12, windowBytes: 20_000 });
      for (const half of halves) store.ingest([half]);
      const queries = openQueries(path, store.tails);
      assert.equal(queries.state().logs, 6_000);
      queries.close();
      store.close();
    }
  });

  it("are known again where the transaction failed", () => {
    const path = join(folder(), "store.db");
    const store = openStore({ path, maxBytes: 2 ** 30, maxAgeMs: 1e12 });
    store.ingest([logs("s", [record(5, "once")])]);
    store.close();
    const { db, close } = openForWriting(path);
    const tail = createTail("log", 0);
    tail.first = (db.prepare("SELECT min(id) AS id FROM logs").get() as { id: number }).id;
    loadTail(db, tail);
    const earlier = createEarlier(db, tail);
    const row = Object.values(
      db.prepare("SELECT origin, 0 AS at, observed, severity, trace, span, body, rest FROM logs")
        .get()!,
    );
    row[1] = T0 + 5n;
    const [time] = tail.time;
    assert.equal(earlier.take(time, row), true);
    assert.equal(earlier.take(time, row), false);
    earlier.settle(false);
    assert.equal(earlier.take(time, row), true);
    earlier.settle(true);
    assert.equal(earlier.take(time, row), false);
    close();
  });
});

describe("data points that are sent again", () => {
  it("are known by their series and time, in any run", () => {
    const path = join(folder(), "store.db");
    const request = (time: bigint, value: number) =>
      metrics("s", 1, [{
        name: "m",
        data: {
          case: "gauge",
          value: {
            dataPoints: [{
              timeUnixNano: time,
              value: { case: "asDouble", value },
              attributes: [],
            }],
          },
        },
      }] as never);
    for (const points of [2, 3]) {
      const store = openStore({ path, maxBytes: 2 ** 30, maxAgeMs: 1e12 });
      store.ingest([request(T0, 1), request(T0 + 1n, 1)]);
      const [again] = store.ingest([request(T0, 1)]);
      assert.deepEqual([again.taken, again.rejected], [1, 0]);
      if (points === 3) store.ingest([request(T0 + 2n, 1)]);
      const queries = openQueries(path, store.tails);
      assert.equal(queries.state().points, points);
      queries.close();
      store.close();
    }
  });
});
