/** What a writer can make a collector hold, with few bytes of its own. */
import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { describe, it } from "node:test";
import { MetricRefSchema } from "../../proto/gen/mmap_pb.ts";
import { COUNTER } from "../metrics/testing/bench.ts";
import { FileBuilder, idsOf, text } from "../../tests/support/build.ts";
import { MemoryCollector } from "../../tests/support/collect.ts";
import { openDrain } from "../../collector/pipeline/drain.ts";
import {
  newRoundFile,
  round,
  type RoundFile,
  type RoundProcess,
} from "../../collector/pipeline/round.ts";
import { AGGREGATION } from "../../tests/support/collect.ts";
import { readGeometry } from "../file/geometry.ts";
import { Aggregator } from "../metrics/aggregate.ts";
import { Assembler, DEFAULT_LIMITS, type Limits } from "./assemble.ts";
import { MAX_SCOPE_BYTES, MAX_SCOPES } from "./scopes.ts";
import { PairList } from "./source.ts";
import { NEXT, PROCESS, SpanTable, TRACE } from "./spans.ts";

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

describe("all processes together may have", () => {
  /** Processes with a file each, which hold so many spans and series. */
  function hold(
    counts: readonly number[],
    write: (file: FileBuilder, count: number, process: number) => void,
    limits: Partial<Limits>,
    maxSeries: number,
  ): { collectors: RoundProcess[]; assembler: Assembler; aggregator: Aggregator } {
    const assembler = new Assembler(() => {}, { ...DEFAULT_LIMITS, ...limits });
    const options = { ...AGGREGATION, maxSeries };
    const aggregator = new Aggregator((source, ref) => assembler.scopeOf(source, ref), options);
    const blocked = { traces: false, metrics: false, logs: false };
    const collectors = counts.map((count, i): RoundProcess => {
      const state = assembler.addProcess();
      aggregator.addProcess(state.index);
      const file = new FileBuilder({ slots: 2048, slotBytes: 256, dictionaryBytes: 1 << 20 });
      write(file, count, i);
      const process: RoundProcess = { state, files: [], waiting: new PairList() };
      process.files.push(roundFile(file, assembler, process, i + 1));
      while (round(process, { assembler, aggregator, blocked }) > 0);
      return process;
    });
    return { collectors, assembler, aggregator };
  }

  function roundFile(
    file: FileBuilder,
    assembler: Assembler,
    { state }: RoundProcess,
    number: number,
  ): RoundFile {
    const geometry = readGeometry("quotas", file.u8, file.size);
    assert.ok("rings" in geometry);
    return newRoundFile(openDrain(number, file, geometry, assembler, state));
  }

  const starts = (file: FileBuilder, count: number): void => {
    const scopeRef = file.simpleScope("s");
    for (let i = 1; i <= count; i++) startIn(file, i, scopeRef);
  };

  it("so many open spans, of which who has most gives its oldest", () => {
    const { assembler, collectors } = hold([100, 900, 50, 300], starts, { openSpans: 1000 }, 1);
    const { table, counts } = assembler;
    const [first, flood, second, last] = collectors.map(({ state }) => table.countOf(state.index));
    assert.deepEqual([first, second, last], [100, 50, 300], "those with less have all of theirs");
    assert.equal(counts.evicted, 900 - flood);
    assert.ok(flood < 550 && flood > 500, `${flood} spans`);
    // Its oldest: those that are left are its newest.
    const traces = new Set<number>();
    for (let index = table.oldest; index >= 0; index = table.meta[SpanTable.base(index) + NEXT]) {
      const base = SpanTable.base(index);
      if (table.meta[base + PROCESS] !== collectors[1].state.index) continue;
      traces.add(new DataView(Int32Array.of(table.meta[base + TRACE]).buffer).getUint32(0));
    }
    assert.deepEqual([...traces], Array.from({ length: flood }, (_, i) => 900 - flood + i + 1));
  });

  it("so many bytes of open spans, likewise", () => {
    const large = (file: FileBuilder, count: number): void => {
      starts(file, count);
      for (let i = 1; i <= count; i++) {
        const keyRef = file.string("large");
        const value = { value: { case: "stringValue" as const, value: "x".repeat(150) } };
        file.span({
          ...idsOf(i),
          event: { case: "attributes", value: { attributes: [{ keyRef, value }] } },
        });
      }
    };
    const limits = { bytes: 256 << 10 };
    const { assembler, collectors } = hold([20, 900, 20], large, limits, 1);
    const [first, flood, last] = collectors.map(({ state }) =>
      assembler.table.countOf(state.index)
    );
    assert.deepEqual([first, last], [20, 20]);
    assert.ok(flood < 900 && flood > 100, `${flood} spans`);
  });

  it("so many series, of which who comes later finds some", () => {
    const measure = (file: FileBuilder, count: number, process: number): void => {
      const instrumentationScopeRef = file.simpleScope(`s${process}`);
      const metric = create(MetricRefSchema, { ...COUNTER, instrumentationScopeRef });
      const metricRef = file.entry(toBinary(MetricRefSchema, metric));
      for (let i = 0; i < count; i++) {
        file.measurement({
          metricRef,
          timeUnixNano: 1n,
          value: { case: "asLong", value: 1n },
          attributes: [{ keyRef: file.string("k"), value: text(`${i}`) }],
        });
      }
    };
    const { aggregator } = hold([1500, 100, 30, 30], measure, {}, 1000);
    // Four fifths, and one for what has no place; then what is wanted.
    const expected = 801 + 100 + 30 + 30;
    assert.equal(aggregator.series, expected);
    const { crowded, overflowed } = aggregator.counts;
    assert.deepEqual([crowded, overflowed], [700, 700]);
    aggregator.removeProcess(0);
    assert.equal(aggregator.series, 160);
  });
});
