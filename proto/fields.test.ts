import type { DescMessage } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fields from "../lib/format/fields.ts";
import * as mmap from "./gen/mmap_pb.ts";
import * as otlp from "./gen/otlp_pb.ts";

const pairs: Record<string, [Record<string, number>, DescMessage]> = {
  SpanEvent: [fields.SpanEvent, mmap.SpanEventSchema],
  StartSpan: [fields.StartSpan, mmap.StartSpanSchema],
  EndSpan: [fields.EndSpan, mmap.EndSpanSchema],
  ChangeSpanName: [fields.ChangeSpanName, mmap.ChangeSpanNameSchema],
  UpdateAttributes: [fields.UpdateAttributes, mmap.UpdateAttributesSchema],
  AddLink: [fields.AddLink, mmap.AddLinkSchema],
  Link: [fields.Link, mmap.LinkSchema],
  Status: [fields.Status, mmap.StatusSchema],
  Event: [fields.Event, mmap.EventSchema],
  Measurement: [fields.Measurement, mmap.MeasurementSchema],
  SpanContext: [fields.SpanContext, mmap.SpanContextSchema],
  KeyValueRef: [fields.KeyValueRef, mmap.KeyValueRefSchema],
  AnyValue: [fields.AnyValue, mmap.AnyValueSchema],
  Resource: [fields.Resource, mmap.ResourceSchema],
  Scope: [fields.Scope, mmap.InstrumentationScopeSchema],
  MetricRef: [fields.MetricRef, mmap.MetricRefSchema],
  Sum: [fields.Sum, mmap.SumSchema],
  Histogram: [fields.Histogram, mmap.HistogramSchema],
  ExponentialHistogram: [fields.ExponentialHistogram, mmap.ExponentialHistogramSchema],
  OtlpLogRecord: [fields.OtlpLogRecord, otlp.LogRecordSchema],
  OtlpMetric: [fields.OtlpMetric, otlp.MetricSchema],
  OtlpMetricData: [fields.OtlpMetricData, otlp.SumSchema],
  OtlpNumberPoint: [fields.OtlpNumberPoint, otlp.NumberDataPointSchema],
  OtlpHistogramPoint: [fields.OtlpHistogramPoint, otlp.HistogramDataPointSchema],
  OtlpExponentialPoint: [fields.OtlpExponentialPoint, otlp.ExponentialHistogramDataPointSchema],
  OtlpBuckets: [fields.OtlpBuckets, otlp.ExponentialHistogramDataPoint_BucketsSchema],
  OtlpExemplar: [fields.OtlpExemplar, otlp.ExemplarSchema],
  OtlpSpan: [fields.OtlpSpan, otlp.SpanSchema],
  OtlpSpanEvent: [fields.OtlpSpanEvent, otlp.Span_EventSchema],
  OtlpLink: [fields.OtlpLink, otlp.Span_LinkSchema],
  OtlpKeyValue: [fields.OtlpKeyValue, otlp.KeyValueSchema],
  OtlpResourceSpans: [fields.OtlpResourceSpans, otlp.ResourceSpansSchema],
  OtlpScopeSpans: [fields.OtlpScopeSpans, otlp.ScopeSpansSchema],
  OtlpResource: [fields.OtlpResource, otlp.ResourceSchema],
  OtlpScope: [fields.OtlpScope, otlp.InstrumentationScopeSchema],
};

describe("lib/format/fields.ts has the numbers of the .proto files", () => {
  for (const [name, [numbers, schema]] of Object.entries(pairs)) {
    it(name, () => {
      const byNumber = new Map(schema.fields.map((field) => [field.number, field.localName]));
      assert.deepEqual(
        Object.values(numbers).sort((a, b) => a - b),
        [...byNumber.keys()].sort((a, b) => a - b),
      );
      // Names are shortened there: `startTime` is `start_time_unix_nano`.
      for (const [short, number] of Object.entries(numbers)) {
        const long = byNumber.get(number)!.toLowerCase();
        assert.ok(long.includes(short.toLowerCase()), `${short} = ${number} is ${long}`);
      }
    });
  }

  it("and all messages of it are compared", () => {
    const messages = Object.entries(fields).filter(([, value]) => typeof value === "object");
    assert.deepEqual(messages.map(([name]) => name).sort(), Object.keys(pairs).sort());
  });
});
