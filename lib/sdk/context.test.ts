import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type Context,
  context,
  createContextKey,
  propagation,
  ROOT_CONTEXT,
  type Span,
  trace,
} from "@opentelemetry/api";
import { type SpanContextLayer, withSpan } from "./context.ts";

function span(): Span {
  return trace.wrapSpanContext({ traceId: "1".repeat(32), spanId: "2".repeat(16), traceFlags: 1 });
}

describe("a context with a span in it", () => {
  const KEY = createContextKey("key");
  const other: Context = ROOT_CONTEXT.setValue(KEY, "value");

  it("gives the API its span, and every other value of its base", () => {
    const active = span();
    const layer = withSpan(other, active);
    assert.equal(trace.getSpan(layer), active);
    assert.equal(layer.getValue(KEY), "value");
    assert.equal(trace.getSpan(other), undefined);
  });

  it("is one layer, however often a span is put on it", () => {
    const [first, second] = [span(), span()];
    const layer = withSpan(withSpan(other, first), second);
    assert.equal(trace.getSpan(layer), second);
    assert.equal((layer as SpanContextLayer).base, other);
    assert.equal(trace.getSpan(trace.setSpan(layer, first)), first);
    assert.equal(trace.getSpan(layer), second);
  });

  it("takes and loses values as the API's own contexts do", () => {
    const active = span();
    const baggage = propagation.createBaggage({ user: { value: "1" } });
    const layer = propagation.setBaggage(withSpan(other, active), baggage);
    assert.equal(propagation.getBaggage(layer), baggage);
    assert.equal(trace.getSpan(layer), active);
    assert.equal(layer.deleteValue(KEY).getValue(KEY), undefined);
    assert.equal(trace.getSpan(layer.deleteValue(KEY)), active);
    const without = trace.deleteSpan(layer);
    assert.equal(trace.getSpan(without), undefined);
    assert.equal(propagation.getBaggage(without), baggage);
    assert.equal(context.active().getValue(KEY), undefined);
  });
});
