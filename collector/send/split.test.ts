import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { gunzipSync } from "node:zlib";
import type { Signal } from "../../lib/otlp/request.ts";
import {
  ExportLogsServiceRequestSchema,
  ExportMetricsServiceRequestSchema,
  ExportTraceServiceRequestSchema,
} from "../../proto/gen/otlp_pb.ts";
import { logsOf, metricsOf, pointsOf, spansOf } from "../../tests/support/collect.ts";
import { Random, seed } from "../../tests/support/random.ts";
import { PATHS, SIGNALS } from "../pipeline/signals.ts";
import { startSender } from "../testing/senders.ts";
import { startHttpBackend } from "../testing/servers.ts";
import { halve } from "./split.ts";

/** Names of resources (2), scopes (3 each) and items, which have so many letters each. */
function bodyOf(signal: Signal, sizes: readonly number[]): Uint8Array {
  const name = (index: number): string => `${index}:${"x".repeat(sizes[index])}`;
  // Items one after the other into six scopes.
  const of = (resource: number, scope: number): string[] =>
    sizes.flatMap((_, index) => index % 6 === resource * 3 + scope ? [name(index)] : []);
  const resources = [0, 1];
  const scopes = [0, 1, 2];
  const resource = (index: number) => ({
    attributes: [{ key: "resource", value: { value: string(String(index)) } }],
  });
  switch (signal) {
    case "traces":
      return toBinary(
        ExportTraceServiceRequestSchema,
        create(ExportTraceServiceRequestSchema, {
          resourceSpans: resources.map((r) => ({
            resource: resource(r),
            scopeSpans: scopes.map((s) => ({
              scope: { name: `scope ${r}.${s}` },
              spans: of(r, s).map((name) => ({ name })),
            })),
          })),
        }),
      );
    case "logs":
      return toBinary(
        ExportLogsServiceRequestSchema,
        create(ExportLogsServiceRequestSchema, {
          resourceLogs: resources.map((r) => ({
            resource: resource(r),
            scopeLogs: scopes.map((s) => ({
              scope: { name: `scope ${r}.${s}` },
              logRecords: of(r, s).map((name) => ({ eventName: name })),
            })),
          })),
        }),
      );
    case "metrics":
      return toBinary(
        ExportMetricsServiceRequestSchema,
        create(ExportMetricsServiceRequestSchema, {
          resourceMetrics: resources.map((r) => ({
            resource: resource(r),
            scopeMetrics: scopes.map((s) => ({
              scope: { name: `scope ${r}.${s}` },
              metrics: (["gauge", "sum", "histogram", "exponentialHistogram"] as const).map(
                (kind, position) => ({
                  name: kind,
                  unit: "s",
                  data: {
                    case: kind,
                    value: {
                      ...(kind === "gauge" ? {} : { aggregationTemporality: 2 }),
                      dataPoints: of(r, s).filter((_, i) => i % 4 === position)
                        .map((name) => ({
                          attributes: [{ key: "name", value: { value: string(name) } }],
                        })),
                    },
                  },
                  // deno-lint-ignore no-explicit-any -- one shape for four kinds of metric
                } as any),
              ),
            })),
          })),
        }),
      );
  }
}

function string(value: string): { case: "stringValue"; value: string } {
  return { case: "stringValue", value };
}

/** Each item with everything it belongs to, as text. */
function itemsOf(signal: Signal, body: Uint8Array): string[] {
  // deno-lint-ignore no-explicit-any -- resources and scopes of three messages
  const where = ({ resource, scope }: any): string =>
    `${resource.resource.attributes[0].value.value.value} ${scope.scope.name}`;
  switch (signal) {
    case "traces":
      return spansOf(fromBinary(ExportTraceServiceRequestSchema, body))
        .map((found) => `${where(found)} ${found.span.name}`);
    case "logs":
      return logsOf(fromBinary(ExportLogsServiceRequestSchema, body))
        .map((found) => `${where(found)} ${found.log.eventName}`);
    case "metrics":
      return metricsOf(fromBinary(ExportMetricsServiceRequestSchema, body)).flatMap((found) => {
        const { name, unit, data } = found.metric;
        const temporality = data.case === "sum" ? data.value.aggregationTemporality : "";
        return pointsOf(found.metric).map(({ attributes }) =>
          `${where(found)} ${name} ${unit} ${data.case} ${temporality} ` +
          String(attributes[0].value?.value.value)
        );
      });
  }
}

/** A server that takes no body of more bytes than `limit`, and notes the items of the others. */
async function limited(
  signal: Signal,
  limit: number,
): Promise<{ url: string; taken: string[]; refused: () => number }> {
  const taken: string[] = [];
  let refused = 0;
  const { port } = await startHttpBackend((response, { headers, body: sent }) => {
    if (sent.length > limit) {
      refused++;
      response.writeHead(413).end("too large");
      return;
    }
    const body = headers["content-encoding"] === "gzip" ? gunzipSync(sent) : sent;
    taken.push(...itemsOf(signal, body));
    response.end();
  });
  return { url: `http://127.0.0.1:${port}/${PATHS[signal]}`, taken, refused: () => refused };
}

describe("a backend with a limit of its own", () => {
  for (const signal of SIGNALS) {
    for (const compression of ["none", "gzip"] as const) {
      it(`gets all ${signal} that fit, each once (${compression})`, async () => {
        const random = new Random();
        const limit = 4000;
        for (let round = 0; round < 4; round++) {
          const sizes = Array.from(
            { length: 1 + random.below(60) },
            // Some are too large for themselves (letters that repeat pack well: only without gzip).
            () => random.below(10) === 0 ? 4000 + random.below(2000) : random.below(500),
          );
          const body = bodyOf(signal, sizes);
          const { url, taken, refused } = await limited(
            signal,
            compression === "gzip" ? 200 : limit,
          );
          const sender = startSender(url, { signal, compression });
          const { lines } = sender;
          const outcome = await sender.send(body, sizes.length);
          await sender.close();
          const all = itemsOf(signal, body);
          const fitting = compression === "gzip" ? all : all.filter(isSmall);
          assert.deepEqual(taken.sort(), fitting.sort(), `seed ${seed}`);
          assert.deepEqual(
            [outcome.accepted, outcome.rejected, outcome.dropped, outcome.gaveUp],
            [fitting.length, 0, all.length - fitting.length, undefined],
            `seed ${seed}`,
          );
          const dropped = lines.filter((line) => /^error .*HTTP 413.*; 1 .* dropped/.test(line));
          assert.equal(dropped.length > 0, outcome.dropped > 0, lines.join("\n"));
          if (refused() > 0 && sizes.length > 1) {
            assert.match(lines[0], /^warn .*HTTP 413.*sent again in halves$/);
          }
        }
      });
    }
  }

  it("is asked no longer than for the whole when it stops answering", async () => {
    const { url } = await startHttpBackend((response, _, count) => {
      response.writeHead(count === 1 ? 413 : 503).end();
    });
    const sender = startSender(url, { maxElapsedMs: 200 });
    const outcome = await sender.send(bodyOf("traces", [1, 2, 3, 4, 5]), 5);
    assert.deepEqual([outcome.accepted, outcome.dropped, outcome.gaveUp], [0, 5, true]);
  });
});

/** The name of a small item is the last word. */
function isSmall(item: string): boolean {
  return item.slice(item.lastIndexOf(":") + 1).length < 4000 - 200;
}

describe("what can't be split", () => {
  it("is a single item, none, and what is no request", () => {
    for (const signal of SIGNALS) {
      assert.equal(halve(signal, bodyOf(signal, [10])), null);
      assert.equal(halve(signal, bodyOf(signal, [])), null);
      assert.equal(halve(signal, Buffer.from("a request")), null);
      const halves = halve(signal, bodyOf(signal, [1, 2, 3]));
      assert.deepEqual(halves?.map(({ items }) => items), [2, 1]);
    }
  });
});
