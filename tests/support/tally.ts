/**
 * What came of numbered calls, counted as it comes: bodies of hours would not fit into memory.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Backend } from "./backend.ts";
import {
  type CollectedLog,
  type CollectedMetric,
  type CollectedSpan,
  pointsOf,
} from "./collect.ts";
import {
  isInterrupted,
  logsReceivedBy,
  metricsReceivedBy,
  plainAttributes,
  receivedBy,
} from "./collector.ts";

/** What came of one writer: how often by number of call. */
interface Came {
  readonly spans: Map<number, "whole" | "without key" | "interrupted">;
  readonly logs: Set<number>;
  sum: number;
}

/** Calls that a writer entered and returned from. */
export interface Calls {
  readonly name: string;
  readonly entered: number;
  readonly returned: number;
}

/** Counts what a backend has taken. */
export class Tally {
  private readonly writers = new Map<string, Came>();
  /** What came twice. */
  private readonly twice: string[] = [];

  /** Counts what came since the last time, which the backend forgets. */
  take({ bodies }: Pick<Backend, "bodies">): void {
    for (const span of receivedBy({ bodies: bodies.traces.splice(0) })) this.span(span);
    for (const log of logsReceivedBy({ logs: bodies.logs.splice(0) })) {
      const { logs } = this.writer(log);
      const number = Number(log.log.body!.value.value);
      if (logs.has(number)) this.twice.push(`log ${number}`);
      logs.add(number);
    }
    for (const metric of metricsReceivedBy({ metrics: bodies.metrics.splice(0) })) {
      if (metric.metric.name !== "calls") continue;
      const writer = this.writer(metric);
      for (const point of pointsOf(metric.metric)) {
        const { value: { value } } = point as { value: { value: unknown } };
        assert.ok(Number(value) >= writer.sum, "a sum only grows");
        writer.sum = Number(value);
      }
    }
  }

  /** Spans there are of calls. */
  get spans(): number {
    return [...this.writers.values()].reduce((sum, { spans }) => sum + spans.size, 0);
  }

  /**
   * Everything of these calls is there once; of the one that was under way what there was. Returns
   * of how many the new key is missing.
   *
   * @param open So many calls later spans are ended.
   */
  check(all: readonly Calls[], open = 0): number {
    assert.deepEqual(this.twice, []);
    let missing = 0;
    for (const { name, entered, returned } of all) {
      const { spans, logs, sum } = this.writers.get(name) ?? newCame();
      for (const [what, there] of [["spans", spans], ["logs", logs]] as const) {
        const { size } = there;
        assert.ok(size === returned || size === entered, `${name}: ${size} ${what} of ${returned}`);
        for (let call = 0; call < size; call++) {
          assert.ok(there.has(call), `${name}: ${what} without ${call}`);
        }
      }
      assert.ok(sum === returned || sum === entered, `${name}: sum ${sum} of ${returned}`);
      for (const [call, how] of spans) {
        if (how === "without key") missing++;
        const isEnded = call < returned - open;
        assert.ok(how !== "interrupted" || !isEnded, `${name}: ${call} is interrupted`);
      }
    }
    const known = new Set(all.map(({ name }) => name));
    assert.deepEqual([...this.writers.keys()].filter((name) => !known.has(name)), []);
    return missing;
  }

  private span(collected: CollectedSpan): void {
    const { span } = collected;
    const { spans } = this.writer(collected);
    const number = Number(span.name);
    if (spans.has(number)) this.twice.push(`span ${number}`);
    const attributes = plainAttributes(span.attributes);
    if (isInterrupted(collected)) {
      spans.set(number, "interrupted");
    } else {
      const events = span.events.map((event) => plainAttributes(event.attributes));
      assert.deepEqual(events, [{ call: BigInt(number) }], `span ${number}`);
      const hasKey = attributes[`key ${number}`] === BigInt(number);
      assert.equal(span.droppedAttributesCount, hasKey ? 0 : 1);
      spans.set(number, hasKey ? "whole" : "without key");
    }
  }

  private writer({ resource }: CollectedSpan | CollectedLog | CollectedMetric): Came {
    const { writer } = plainAttributes(resource.resource!.attributes);
    assert.equal(typeof writer, "string");
    let came = this.writers.get(writer as string);
    if (came === undefined) this.writers.set(writer as string, came = newCame());
    return came;
  }
}

function newCame(): Came {
  return { spans: new Map(), logs: new Set(), sum: 0 };
}
