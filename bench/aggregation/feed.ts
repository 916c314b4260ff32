/**
 * An aggregator, and measurements for it: half of the streams are sums, half histograms.
 *
 * @module
 */
import { create, toBinary } from "@bufbuild/protobuf";
import type { Aggregator } from "../../lib/metrics/aggregate.ts";
import type { Source } from "../../lib/otlp/source.ts";
import { createCopy, type RecordCopy } from "../../lib/ring/read.ts";
import { readGeometry } from "../../lib/file/geometry.ts";
import {
  AggregationTemporality,
  Instrument,
  MetricRefSchema,
  ValueType,
} from "../../proto/gen/mmap_pb.ts";
import { FileBuilder } from "../../tests/support/build.ts";
import { AGGREGATION, MemoryCollector } from "../../tests/support/collect.ts";

/** Bounds of the histograms. */
export const BOUNDARIES: readonly number[] = [0, 5, 10, 25, 50, 75, 100, 250, 500, 1000];
/** Streams of each half. */
export const STREAMS = 50;

/** What `measure` needs. */
export interface Feed {
  readonly aggregator: Aggregator;
  /** Adds one measurement of a series of a stream. */
  measure(stream: number, series: number, value: number): void;
}

/** Makes the state; series come into being with their first measurement. */
export function createFeed(): Feed {
  const file = new FileBuilder({ dictionaryBytes: 1 << 20 });
  const scope = file.simpleScope("bench");
  const collector = new MemoryCollector(undefined, { ...AGGREGATION, cardinalityLimit: 1 << 20 });
  const { source } = collector.add(file).drain as { source: Source };
  const { aggregator } = collector;
  const refs: number[] = [];
  for (let i = 0; i < 2 * STREAMS; i++) {
    const isSum = i < STREAMS;
    const definition = create(MetricRefSchema, {
      name: `metric ${i}`,
      unit: "1",
      instrumentationScopeRef: scope,
      instrument: isSum ? Instrument.COUNTER : Instrument.HISTOGRAM,
      valueType: isSum ? ValueType.INT : ValueType.DOUBLE,
      createdTimeUnixNano: 1n,
      aggregation: isSum
        ? {
          case: "sum",
          value: { aggregationTemporality: AggregationTemporality.CUMULATIVE, isMonotonic: true },
        }
        : {
          case: "histogram",
          value: {
            aggregationTemporality: AggregationTemporality.CUMULATIVE,
            bucketBoundaries: [...BOUNDARIES],
          },
        },
    });
    refs.push(Number(file.entry(toBinary(MetricRefSchema, definition))));
  }
  const keys = ["http.request.method", "http.route", "series"].map((key) =>
    Number(file.string(key))
  );
  const geometry = readGeometry("bench", file.u8, file.size);
  if ("unfinished" in geometry) throw new Error(geometry.unfinished);
  const copy: RecordCopy = createCopy(geometry.rings);
  const { i32, view, u8 } = copy;
  // The head of lib/record/measurement.ts, then three attributes: two texts and a number.
  i32[0] = 0x0088 << 16;
  i32[2] = 0x00808099;
  let at = 32;
  for (const [key, text] of [[keys[0], "GET"], [keys[1], "/items/{id}"]] as const) {
    const value = [0x0a, text.length, ...new TextEncoder().encode(text)];
    const content = [0x08, ...varint(key), 0x12, value.length, ...value];
    u8.set([0x12, content.length, ...content], at);
    at += 2 + content.length;
  }
  u8.set([0x12, 11, 0x08, ...varint(keys[2]), 0x12, 4, 0x18], at);
  at += 10;
  copy.start = 2;
  copy.end = at + 3;
  const number = at;
  return {
    aggregator,
    measure(stream, series, value): void {
      const ref = refs[stream];
      i32[1] = ref & 0x7f | (ref & 0x3f80) << 1 | (ref & 0x1fc000) << 2 | (ref & 0xfe00000) << 3 |
        0x00808080;
      if (stream < STREAMS) {
        i32[5] = 0x008080a0;
        i32[6] = value & 0x7f | (value & 0x3f80) << 1 | (value & 0x1fc000) << 2 |
          (value & 0xfe00000) << 3 | 0x80808080;
        i32[7] = 0x00808080;
      } else {
        i32[5] = 0x008080a9;
        view.setFloat64(24, value, true);
      }
      u8[number] = series & 0x7f | 0x80;
      u8[number + 1] = series >> 7 & 0x7f | 0x80;
      u8[number + 2] = series >> 14;
      i32[3]++;
      aggregator.take(source, copy);
    },
  };
}

function varint(value: number): number[] {
  return [value & 0x7f | 0x80, value >> 7 & 0x7f | 0x80, value >> 14 & 0x7f | 0x80, value >> 21];
}
