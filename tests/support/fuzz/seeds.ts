/**
 * Small files with one of everything, to be damaged.
 *
 * @module
 */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { COUNTER, type Definition, HISTOGRAM, T } from "../../../lib/metrics/testing/bench.ts";
import {
  AggregationTemporality,
  type AnyValueSchema,
  Instrument,
  MetricRefSchema,
  ValueType,
} from "../../../proto/gen/mmap_pb.ts";
import { FileBuilder, idsOf, text } from "../build.ts";
import { writeExample } from "../example.ts";
import { ROOT } from "../../../tools/runtimes.ts";

/** The kept files: each was once read in a way that no other was. */
export const CORPUS: string = join(ROOT, "tests/testdata/corpus");

/** The file that PROTOCOL.md shows, of our writer. */
function example(): Uint8Array {
  const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-seed-"));
  try {
    return new Uint8Array(readFileSync(writeExample(directory)));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Files as other writers make them: spans, events of spans, log records. */
function foreignSpans(): Uint8Array {
  const file = new FileBuilder({ slots: 8, slotBytes: 256, dictionaryBytes: 1024 });
  const scopeRef = file.simpleScope("spans");
  const key = (name: string): bigint => file.string(name);
  const nested: MessageInitShape<typeof AnyValueSchema> = {
    value: {
      case: "kvlistValue",
      value: {
        values: [{
          keyRef: key("inner"),
          value: { value: { case: "arrayValue", value: { values: [text("a"), {}] } } },
        }],
      },
    },
  };
  const ids = idsOf(1);
  file.span({
    ...ids,
    scopeRef,
    event: {
      case: "start",
      value: {
        name: "one",
        kind: 2,
        startTimeUnixNano: T,
        parentSpanId: idsOf(2).spanId,
        traceState: "a=b",
        attributes: [
          {
            keyRef: key("text"),
            value: { value: { case: "valueRef", value: file.value(text("v")) } },
          },
          { keyRef: key("nested"), value: nested },
        ],
      },
    },
  });
  file.span({
    ...ids,
    scopeRef,
    event: {
      case: "attributes",
      value: {
        attributes: [{
          keyRef: key("late"),
          value: { value: { case: "bytesValue", value: Uint8Array.of(1, 2) } },
        }],
      },
    },
  });
  file.span({
    ...ids,
    scopeRef,
    event: { case: "link", value: { links: [{ ...idsOf(3), traceState: "c=d" }] } },
  });
  file.event({
    scopeRef,
    spanContext: { ...ids, flags: 1 },
    eventNameRef: key("happened"),
    timeUnixNano: T,
    attributes: [{ keyRef: key("text"), value: { value: { case: "doubleValue", value: 0.5 } } }],
  });
  file.event({
    scopeRef,
    timeUnixNano: T,
    severityNumber: 9,
    severityText: "INFO",
    body: nested,
    attributes: [{ keyRef: key("flag"), value: { value: { case: "boolValue", value: true } } }],
  });
  file.span({ ...ids, scopeRef, event: { case: "name", value: { name: "other" } } });
  file.span({
    ...ids,
    event: { case: "end", value: { endTimeUnixNano: T + 5n, status: { code: 2, message: "no" } } },
  });
  file.simpleSpan(scopeRef, 7);
  return file.u8.slice(0, file.size);
}

/** Measurements of all kinds of instruments. */
function measurements(): Uint8Array {
  const file = new FileBuilder({ slots: 16, slotBytes: 128, dictionaryBytes: 2048 });
  const instrumentationScopeRef = file.simpleScope("measurements");
  const { CUMULATIVE, DELTA } = AggregationTemporality;
  const definitions: Definition[] = [
    COUNTER,
    HISTOGRAM,
    {
      ...HISTOGRAM,
      name: "e",
      cardinalityLimit: 2,
      filtersAttributes: true,
      attributeKeys: ["a"],
      aggregation: {
        case: "exponentialHistogram",
        value: { aggregationTemporality: DELTA, maxBuckets: 8n, maxScale: 8n },
      },
    },
    {
      ...COUNTER,
      name: "u",
      instrument: Instrument.OBSERVABLE_UP_DOWN_COUNTER,
      valueType: ValueType.DOUBLE,
      aggregation: { case: "sum", value: { aggregationTemporality: CUMULATIVE } },
    },
    { name: "g", unit: "s", aggregation: { case: "gauge", value: {} } },
  ];
  const refs = definitions.map((definition) =>
    file.entry(
      toBinary(
        MetricRefSchema,
        create(MetricRefSchema, { instrumentationScopeRef, ...definition } as Definition),
      ),
    )
  );
  for (let i = 0; i < 15; i++) {
    file.measurement({
      metricRef: refs[i % refs.length],
      timeUnixNano: T + BigInt(i),
      value: i % 2 === 0
        ? { case: "asLong", value: BigInt(i) }
        : { case: "asDouble", value: i / 3 },
      attributes: [{ keyRef: file.string("ab"[i % 2]), value: text(`${i}`) }],
      spanContext: i % 3 === 0 ? { ...idsOf(i + 1), flags: 1 } : undefined,
    });
  }
  return file.u8.slice(0, file.size);
}

/** All of them, the kept ones last. */
export function seeds(): Uint8Array[] {
  const kept = readdirSync(CORPUS).filter((name) => name.endsWith(".otlp.gz")).sort()
    .map((name) => new Uint8Array(gunzipSync(readFileSync(join(CORPUS, name)))));
  return [example(), foreignSpans(), measurements(), ...kept];
}
