import { type DescMessage, fromBinary } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Signal } from "../../lib/otlp/request.ts";
import {
  ExportLogsServiceRequestSchema,
  ExportMetricsServiceRequestSchema,
  ExportTraceServiceRequestSchema,
} from "../../proto/gen/otlp_pb.ts";
import { Random, seed } from "../../tests/support/random.ts";
import { SIGNALS } from "../pipeline/signals.ts";
import { formatRequest } from "../print/print.ts";
import { type Processor, processRequest } from "../processors/processor.ts";
import { DECODING } from "../send/decoding.ts";
import { halve } from "../send/split.ts";
import { createTailSamplingSink } from "../tail-sampling/sink.ts";
import { EVERYTHING } from "../testing/requests.ts";
import { accept } from "../testing/run.ts";
import { toOtlpJson } from "../text/otlp-json.ts";
import { checkJson, checkRequest, Malformed, MAX_MESSAGES, MAX_NESTING, TooMuch } from "./check.ts";

const SCHEMAS: Readonly<Record<Signal, DescMessage>> = {
  traces: ExportTraceServiceRequestSchema,
  metrics: ExportMetricsServiceRequestSchema,
  logs: ExportLogsServiceRequestSchema,
};

/** A field with a length. */
function field(number: number, content: readonly number[]): number[] {
  const length = [];
  let left = content.length;
  for (; left > 0x7f; left >>>= 7) length.push((left & 0x7f) | 0x80);
  return [(number << 3) | 2, ...length, left, ...content];
}

/** A request with one span that has these bytes. */
function span(...bytes: number[]): Uint8Array {
  return new Uint8Array(field(1, field(2, field(2, bytes))));
}

/** A body in a log record: arrays in each other, two messages each. */
function nested(arrays: number): Uint8Array {
  let value: number[] = [];
  for (let i = 0; i < arrays; i++) value = field(5, field(1, value));
  return new Uint8Array(field(1, field(2, field(2, field(5, value)))));
}

describe("checkRequest", () => {
  it("counts the items of requests with everything in them", () => {
    for (const signal of SIGNALS) {
      const { body, items } = EVERYTHING[signal];
      assert.equal(checkRequest(signal, body), items);
    }
    assert.equal(checkRequest("traces", new Uint8Array()), 0);
    // Fields of a newer version.
    assert.equal(checkRequest("traces", span(0xa2, 0x06, 1, 0)), 1);
    // A tag with more bytes than it needs.
    assert.equal(checkRequest("traces", span(0xb0, 0x80, 0x80, 0x80, 0x00, 1)), 1);
    // Bucket counts one by one, which is as good as packed.
    const counts = [...[0x31, 1, 0, 0, 0, 0, 0, 0, 0], ...[0x31, 2, 0, 0, 0, 0, 0, 0, 0]];
    const histogram = field(1, field(2, field(2, field(9, field(1, counts)))));
    assert.equal(checkRequest("metrics", new Uint8Array(histogram)), 1);
  });

  it("says what is wrong with others", () => {
    const cases: [Uint8Array, RegExp][] = [
      [new TextEncoder().encode("<html>"), /not a readable message/],
      [span(0x0a, 15, ...new Array(15).fill(1)), /Span.trace_id at byte 8 has 15 bytes instead of/],
      [span(0x12, 1, 1), /Span.span_id at byte 8 has 1 bytes instead of 8/],
      [span(0x2a, 2, 0xc3, 0x28), /Span.name at byte 8 is not UTF-8/],
      [span(0x2a, 100, ...new Array(99).fill(65), 0xff), /Span.name at byte 8 is not UTF-8/],
      [span(0x28, 1), /Span.name at byte 7 is of another type/],
      [span(0x38, 1), /Span.start_time_unix_nano at byte 7 is of another type/],
      [span(0x39, 1), /not a readable message/],
      [span(0x0b, 0x0c), /not a readable message/],
      [span(0x30, ...new Array(11).fill(0xff)), /not a readable message/],
      [span(0x2a, 0xff, 0xff, 0xff, 0xff, 0x0f), /not a readable message/],
      [span(0), /not a readable message/],
      // Strict decoders take five bytes for a tag at most.
      [span(0xb0, 0x80, 0x80, 0x80, 0x80, 0x00, 1), /not a readable message/],
    ];
    for (const [body, message] of cases) {
      assert.throws(() => checkRequest("traces", body), (error) => {
        assert.ok(error instanceof Malformed, String(error));
        assert.match(error.message, message);
        return true;
      });
    }
    const packed = field(1, field(2, field(2, field(9, field(1, field(6, [1, 2, 3]))))));
    assert.throws(
      () => checkRequest("metrics", new Uint8Array(packed)),
      /HistogramDataPoint.bucket_counts at byte 12 ends inside a number/,
    );
  });

  it("refuses values that are nested too deep, and everything can cope with what it takes", () => {
    const most = (MAX_NESTING - 5) >> 1;
    assert.equal(checkRequest("logs", nested(most)), 1);
    toOtlpJson("logs", nested(most));
    formatRequest("logs", nested(most), { color: false });
    assert.throws(() => checkRequest("logs", nested(most + 1)), /nested more than 100 deep/);
    assert.throws(() => checkRequest("logs", nested(2_000)), /nested more than 100 deep/);
  });

  it("refuses more messages than memory is meant for", () => {
    const spans = new Uint8Array(2 * MAX_MESSAGES);
    for (let at = 0; at < spans.length; at += 2) spans[at] = 0x0a;
    assert.throws(() => checkRequest("traces", spans), TooMuch);
    assert.throws(() => checkJson(new TextEncoder().encode("[{".repeat(MAX_MESSAGES))), TooMuch);
    checkJson(new TextEncoder().encode("[{".repeat(MAX_MESSAGES / 2)));
  });

  it(`lets nothing through that others choke on (seed ${seed})`, async () => {
    const random = new Random();
    const held = createTailSamplingSink(
      {
        send: (body, items) => {
          assert.equal(checkRequest("traces", body), items);
          return Promise.resolve(accept(items));
        },
        abort: () => {},
        close: () => Promise.resolve(),
      },
      () => ({
        decisionWaitMs: 1,
        maxSpans: 1,
        policies: { errors: true, latency: 1n, rate: 1, probability: 1 },
      }),
      10,
    );
    held.flush!();
    const set: Processor = {
      where: [],
      action: { kind: "set", values: new Map([["by", "test"]]) },
    };
    let through = 0;
    for (let round = 0; round < 6_000; round++) {
      const signal = random.pick(SIGNALS);
      const { body } = EVERYTHING[signal];
      const mutant = mutate(body, random);
      let items: number;
      try {
        items = checkRequest(signal, mutant);
      } catch (error) {
        assert.ok(error instanceof Malformed, String(error));
        continue;
      }
      through++;
      fromBinary(SCHEMAS[signal], mutant, DECODING);
      toOtlpJson(signal, mutant);
      formatRequest(signal, mutant, { color: false });
      halve(signal, mutant);
      assert.equal(processRequest(signal, mutant, [set]).items, items);
      if (signal === "traces" && items > 0) {
        const { accepted } = await held.send(mutant, items);
        assert.equal(accepted, items);
      }
    }
    await held.close();
    assert.ok(through > 100, `${through}`);
  });
});

/** Some bytes changed, left out or put in, or the end missing. */
function mutate(body: Uint8Array, random: Random): Uint8Array {
  const bytes = [...body];
  for (let i = 1 + random.below(3); i > 0; i--) {
    const at = random.below(bytes.length);
    switch (random.below(5)) {
      case 0:
        bytes[at] = random.below(256);
        break;
      case 1:
        bytes[at] ^= 1 << random.below(8);
        break;
      case 2:
        bytes.splice(at, 1 + random.below(4));
        break;
      case 3:
        bytes.splice(
          at,
          0,
          ...Array.from({ length: 1 + random.below(4) }, () => random.below(256)),
        );
        break;
      case 4:
        if (random.below(8) === 0) bytes.length = at;
        break;
    }
    if (bytes.length === 0) break;
  }
  return new Uint8Array(bytes);
}
