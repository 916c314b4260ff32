/** Log records and metrics: stored, found, drawn. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { folders } from "../testing/run.ts";
import { openQueries } from "./queries/queries.ts";
import { InvalidQuery, type LogFilter, type StoreQueries, type Value } from "./queries/types.ts";
import { openStore, type Store } from "./store.ts";
import { anyValue, hexId, id, keyValues, logs, metrics, T0 } from "./testing/requests.ts";

const folder = folders("logs-metrics");
const T0_MS = Number(T0 / 1_000_000n);

function withStore(
  windowBytes: number,
  work: (store: Store, queries: () => StoreQueries[]) => void,
): void {
  const path = join(folder(), "store.db");
  const store = openStore({ path, maxBytes: 2 ** 30, maxAgeMs: 1e12, windowBytes });
  const inside = openQueries(path, store.tails);
  const outside = openQueries(path);
  try {
    work(store, () => [inside, outside]);
  } finally {
    inside.close();
    outside.close();
    store.close();
  }
}

const record = (number: number, body: Value, more: object = {}): object => ({
  timeUnixNano: T0 + BigInt(number) * 1_000_000n,
  observedTimeUnixNano: T0 + BigInt(number) * 1_000_000n + 7n,
  body: anyValue(body),
  ...more,
});
const bodies = (queries: StoreQueries, filter: LogFilter): (string | undefined)[] =>
  queries.searchLogs(filter).rows.map(({ body }) => body.stringValue);

describe("log records", () => {
  for (const windowBytes of [1, 2 ** 24]) {
    it(`are found by everything they have, windows of ${windowBytes} bytes`, () => {
      withStore(windowBytes, (store, queries) => {
        const nested: Value = {
          kvlistValue: { values: [{ key: "reason", value: { stringValue: "sunspots" } }] },
        };
        store.ingest([
          logs("shop", [
            record(1, { stringValue: "connection timeout\u0000 after 30 s" }, {
              severityNumber: 17,
              severityText: "ERROR",
              traceId: id(16, 1),
              spanId: id(8, 2),
              attributes: keyValues({ attempt: { intValue: "3" } }),
            }),
            record(2, { stringValue: "connected" }, { severityNumber: 9, eventName: "net.up" }),
          ]),
          logs("bank", [
            record(3, nested, { severityNumber: 13 }),
            record(4, { stringValue: "" }),
            { observedTimeUnixNano: T0 + 5_000_000n },
          ]),
        ]);
        for (const asked of queries()) {
          assert.deepEqual(bodies(asked, { services: ["shop"] }), [
            "connected",
            "connection timeout\u0000 after 30 s",
          ]);
          const [failed] = asked.searchLogs({ text: "timeout" }).rows;
          assert.deepEqual(
            [failed.severity, failed.severityText, failed.traceId, failed.spanId, failed.service],
            [17, "ERROR", hexId(16, 1), hexId(8, 2), "shop"],
          );
          assert.deepEqual(failed.attributes, [{ key: "attempt", value: { intValue: "3" } }]);
          assert.equal(failed.timeNs, String(T0 + 1_000_000n));
          assert.equal(failed.observedNs, String(T0 + 1_000_007n));
          assert.deepEqual(bodies(asked, { text: "connect*" }).length, 2);
          assert.deepEqual(bodies(asked, { text: "connect*", minSeverity: 10 }).length, 1);
          assert.deepEqual(bodies(asked, { text: '"after 30"' }).length, 1);
          assert.deepEqual(asked.searchLogs({ text: "sunspots" }).rows.map(({ body }) => body), [
            nested,
          ]);
          assert.throws(() => asked.searchLogs({ text: 'a "b' }), InvalidQuery);
          assert.equal(asked.searchLogs({ minSeverity: 13 }).rows.length, 2);
          assert.equal(asked.searchLogs({ traceId: hexId(16, 1) }).rows.length, 1);
          assert.equal(asked.searchLogs({ traceId: hexId(16, 2) }).rows.length, 0);
          assert.equal(asked.searchLogs({ spanId: hexId(8, 2) }).rows.length, 1);
          const by = (value: Value): number =>
            asked.searchLogs({ attributes: [{ key: "attempt", value }] }).rows.length;
          assert.equal(by({ intValue: "3" }), 1);
          assert.equal(by({ stringValue: "3" }), 0);
          assert.equal(asked.searchLogs({ fromMs: T0_MS + 2, toMs: T0_MS + 4 }).rows.length, 2);
          // The observed time stands for one that is missing; a missing body is not an empty one.
          const [newest, empty] = asked.searchLogs({}).rows;
          assert.equal(newest.timeNs, String(T0 + 5_000_000n));
          assert.deepEqual([newest.body, empty.body], [{}, { stringValue: "" }]);
          // Following: what comes after, oldest first.
          const ids = asked.searchLogs({}).rows.map((row) => row.id).reverse();
          assert.deepEqual(
            asked.searchLogs({ afterId: ids[1] }).rows.map((row) => row.id),
            ids.slice(2),
          );
          const first = asked.searchLogs({ afterId: -1 }, { limit: 3 });
          const rest = asked.searchLogs({ afterId: -1 }, { limit: 3, cursor: first.next! });
          assert.deepEqual([...first.rows, ...rest.rows].map((row) => row.id), ids);
          const range = { fromMs: T0_MS, toMs: T0_MS + 10 };
          const { steps } = asked.logHistogram(range, 5);
          assert.deepEqual(steps.map((step) => step.reduce((a, b) => a + b)), [1, 2, 2, 0, 0]);
          assert.deepEqual(steps[0], [0, 0, 0, 0, 0, 1, 0]);
          const found = asked.logHistogram({ ...range, text: "connected" }, 5).steps.flat();
          assert.equal(found.reduce((a, b) => a + b), 1);
        }
      });
    });
  }
});

describe("metrics", () => {
  it("are streams of series of points, with exemplars", () => {
    withStore(1, (store, queries) => {
      const attributes = keyValues({ b: { stringValue: "x" }, a: { intValue: "1" } });
      const point = (step: number, more: object): object => ({
        timeUnixNano: T0 + BigInt(step) * 1_000_000_000n,
        startTimeUnixNano: T0,
        attributes,
        ...more,
      });
      const exemplars = [{
        timeUnixNano: T0,
        value: { case: "asInt" as const, value: 5n },
        traceId: id(16, 1),
        spanId: id(8, 2),
        filteredAttributes: keyValues({ user: { stringValue: "u" } }),
      }];
      const int = (value: bigint): object => ({ value: { case: "asInt", value } });
      const request = metrics("shop", 8, [
        {
          name: "requests",
          unit: "1",
          data: {
            case: "sum",
            value: {
              isMonotonic: true,
              aggregationTemporality: 2,
              dataPoints: [
                point(1, int(1n)),
                point(2, { ...int(5n), exemplars }),
                // The same set in another order is the same series.
                point(3, { ...int(6n), attributes: [...attributes].reverse() }),
                point(3, { ...int(9n), attributes: keyValues({ a: { stringValue: "1" } }) }),
              ],
            },
          },
        },
        {
          name: "latency",
          data: {
            case: "histogram",
            value: {
              aggregationTemporality: 1,
              dataPoints: [
                point(1, {
                  count: 3n,
                  sum: 6,
                  min: 1,
                  max: 3,
                  bucketCounts: [1n, 2n],
                  explicitBounds: [1],
                }),
              ],
            },
          },
        },
        {
          name: "sizes",
          data: {
            case: "exponentialHistogram",
            value: {
              dataPoints: [
                point(1, {
                  count: 3n,
                  scale: 2,
                  zeroCount: 1n,
                  positive: { offset: -3, bucketCounts: [2n] },
                }),
              ],
            },
          },
        },
        {
          name: "old",
          data: {
            case: "summary",
            value: {
              dataPoints: [
                point(1, { count: 2n, sum: 4, quantileValues: [{ quantile: 0.5, value: 2 }] }),
              ],
            },
          },
        },
        {
          name: "queue",
          data: {
            case: "gauge",
            value: { dataPoints: [point(1, { value: { case: "asDouble", value: 1.5 } })] },
          },
        },
      ] as never);
      assert.deepEqual(store.ingest([request, request]).map(({ taken }) => taken), [8, 8]);
      for (const asked of queries()) {
        const streams = asked.metricStreams();
        assert.deepEqual(
          streams.map(({ name, kind, temporality, monotonic, series, service }) =>
            [name, kind, temporality, monotonic, series, service].join(" ")
          ),
          [
            "latency histogram delta false 1 shop",
            "old summary unspecified false 1 shop",
            "queue gauge unspecified false 1 shop",
            "requests sum cumulative true 2 shop",
            "sizes exponentialHistogram unspecified false 1 shop",
          ],
        );
        assert.equal(streams[3].lastMs, T0_MS + 3_000);
        const seriesOf = (name: string, range = {}) =>
          asked.metricSeries(streams.find((stream) => stream.name === name)!.id, range);
        const [requests, other] = seriesOf("requests");
        assert.deepEqual(requests.attributes.map(({ key }) => key), ["a", "b"]);
        assert.deepEqual(requests.points.map(({ value }) => value), [1, 5, 6]);
        assert.deepEqual(other.points.map(({ value }) => value), [9]);
        const [exemplar] = requests.points[1].exemplars!;
        assert.deepEqual([exemplar.value, exemplar.traceId], [5, hexId(16, 1)]);
        const [late] = seriesOf("requests", { fromMs: T0_MS + 2_000, toMs: T0_MS + 3_000 });
        assert.deepEqual(late.points.map(({ value }) => value), [5]);
        const [latency] = seriesOf("latency")[0].points;
        assert.deepEqual([latency.counts, latency.bounds, latency.min], [[1, 2], [1], 1]);
        const [sizes] = seriesOf("sizes")[0].points;
        assert.deepEqual([sizes.scale, sizes.positive], [2, { offset: -3, counts: [2] }]);
        assert.deepEqual(seriesOf("old")[0].points[0].quantiles, [{ quantile: 0.5, value: 2 }]);
        assert.equal(seriesOf("queue")[0].points[0].value, 1.5);
        assert.equal(asked.state().points, 8);
      }
      // By when they came, not by their time, which is long ago.
      assert.equal(store.retain(), false);
      const later = Date.now() + 1e12 + 1;
      while (store.retain(later)) { /* One portion at a time. */ }
      for (const asked of queries()) assert.equal(asked.state().points, 0);
      store.ingest([request]);
      for (const asked of queries()) assert.equal(asked.state().points, 8);
    });
  });
});
