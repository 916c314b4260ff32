import { create, equals, fromBinary, toBinary } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  ExportTraceServiceRequestSchema,
  Span_SpanKind,
  Status_StatusCode,
} from "../../proto/gen/otlp_pb.ts";
import { rotel, startRotel } from "./rotel.ts";
import { startSink } from "./sink.ts";

const request = create(ExportTraceServiceRequestSchema, {
  resourceSpans: [{
    resource: {
      attributes: [{
        key: "service.name",
        value: { value: { case: "stringValue", value: "checkout" } },
      }],
    },
    scopeSpans: [{
      scope: { name: "peer", version: "1.2.3" },
      spans: [1, 2, 3].map((i) => ({
        traceId: new Uint8Array(16).fill(i),
        spanId: new Uint8Array(8).fill(i),
        name: `span ${i}`,
        kind: Span_SpanKind.SERVER,
        startTimeUnixNano: 1780000000000000000n,
        endTimeUnixNano: 1780000000000000900n,
        events: [{ name: "event", timeUnixNano: 1780000000000000100n }],
        status: { code: Status_StatusCode.ERROR, message: "no" },
      })),
    }],
  }],
});

async function post(base: string): Promise<void> {
  const response = await fetch(`${base}/v1/traces`, {
    method: "POST",
    headers: { "content-type": "application/x-protobuf" },
    body: toBinary(ExportTraceServiceRequestSchema, request),
  });
  await response.arrayBuffer();
  assert.equal(response.status, 200);
}

describe("rotel", { skip: rotel.missing ?? false }, () => {
  it("counts and prints the spans it is sent", async () => {
    const receiver = await startRotel();
    try {
      await post(receiver.http);
      await receiver.received(3);
      assert.equal(receiver.count(), 3);
      assert.match(receiver.output(), /Name +: span 2/);
    } finally {
      await receiver.stop();
    }
  });

  it("counts without printing them", async () => {
    const receiver = await startRotel({ verbosity: "basic" });
    try {
      await post(receiver.http);
      await post(receiver.http);
      await receiver.received(6);
      assert.equal(receiver.count(), 6);
      assert.doesNotMatch(receiver.output(), /span 2/);
    } finally {
      await receiver.stop();
    }
  });

  it("forwards them complete", async () => {
    const sink = await startSink();
    const receiver = await startRotel({ forwardTo: sink.url });
    try {
      await post(receiver.http);
      const [body] = await sink.received(1);
      const forwarded = fromBinary(ExportTraceServiceRequestSchema, body!);
      assert.ok(equals(ExportTraceServiceRequestSchema, forwarded, request));
    } finally {
      await receiver.stop();
      await sink.stop();
    }
  });
});
