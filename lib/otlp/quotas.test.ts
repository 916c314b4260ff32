/** What a writer can make a collector hold, with few bytes of its own. */
import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { describe, it } from "node:test";
import { MetricRefSchema } from "../../proto/gen/mmap_pb.ts";
import { COUNTER } from "../metrics/testing/bench.ts";
import { FileBuilder, idsOf, text } from "../../tests/support/build.ts";
import { MemoryCollector } from "../../tests/support/collect.ts";
import { MAX_SCOPE_BYTES, MAX_SCOPES } from "./scopes.ts";

/** Reads it; how many spans came, and why others did not. */
function read(file: FileBuilder): { spans: number; reasons: Map<string, number> } {
  const collector = new MemoryCollector();
  const { drain } = collector.add(file);
  collector.rounds();
  collector.interrupt();
  return { spans: collector.spans().length, reasons: drain.reasons };
}

function startIn(file: FileBuilder, number: number, scopeRef: bigint): void {
  const value = { name: "n", kind: 1, startTimeUnixNano: 1n } as const;
  file.span({ ...idsOf(number), scopeRef, event: { case: "start", value } });
}

const LARGE = 900_000;
const FIT = Math.floor(MAX_SCOPE_BYTES / LARGE);

describe("a process may have", () => {
  it("so many bytes of scopes, whatever they refer to", () => {
    const file = new FileBuilder({ slots: 64, slotBytes: 256, dictionaryBytes: 2 << 20 });
    const resourceRef = file.resource({});
    const valueRef = file.value(text("x".repeat(LARGE)));
    const keyRef = file.string("large");
    for (let i = 1; i <= 60; i++) {
      const attributes = [{
        keyRef,
        value: { value: { case: "valueRef" as const, value: valueRef } },
      }];
      startIn(file, i, file.scope({ nameRef: file.string(`s${i}`), resourceRef, attributes }));
    }
    const { spans, reasons } = read(file);
    assert.deepEqual([spans, ...reasons.values()], [FIT, 60 - FIT]);
  });

  it("so many bytes of resources, also where their scopes are refused", () => {
    const file = new FileBuilder({ slots: 64, slotBytes: 256, dictionaryBytes: 2 << 20 });
    const valueRef = file.value(text("x".repeat(LARGE)));
    for (let i = 1; i <= 60; i++) {
      const value = { value: { case: "valueRef" as const, value: valueRef } };
      const resourceRef = file.resource({ attributes: [{ keyRef: file.string(`k${i}`), value }] });
      startIn(file, i, file.scope({ nameRef: file.string("s"), resourceRef }));
    }
    const { spans, reasons } = read(file);
    assert.deepEqual([spans, ...reasons.values()], [FIT, 60 - FIT]);
  });

  it("so many resources", () => {
    const slots = 16_384;
    const file = new FileBuilder({ slots, slotBytes: 128, dictionaryBytes: 4 << 20 });
    const nameRef = file.string("s");
    const keyRef = file.string("k");
    for (let i = 1; i < slots; i++) {
      const resourceRef = file.resource({ attributes: [{ keyRef, value: text(`${i}`) }] });
      startIn(file, i, file.scope({ nameRef, resourceRef }));
    }
    const collector = new MemoryCollector();
    const { drain } = collector.add(file);
    collector.rounds();
    assert.deepEqual([...drain.reasons.values()], [slots - 1 - MAX_SCOPES]);
    assert.equal(collector.process.state.scopes.allResources().length, MAX_SCOPES);
  });

  it("so much text in definitions of instruments", () => {
    const file = new FileBuilder({ slots: 64, slotBytes: 256, dictionaryBytes: 60 << 20 });
    const instrumentationScopeRef = file.simpleScope("s");
    for (let i = 1; i <= 60; i++) {
      const message = create(MetricRefSchema, {
        ...COUNTER,
        instrumentationScopeRef,
        name: `${i}`,
        description: "x".repeat(LARGE),
      });
      const metricRef = file.entry(toBinary(MetricRefSchema, message));
      file.measurement({ metricRef, timeUnixNano: 1n, value: { case: "asLong", value: 1n } });
    }
    const collector = new MemoryCollector();
    const { drain } = collector.add(file);
    collector.rounds();
    assert.deepEqual([...drain.reasons], [
      ["definitions of instruments that are too long together", 60 - FIT],
    ]);
  });
});
