/**
 * Processes that end in every way but in order, straight after they recorded something.
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { Status_StatusCode } from "../proto/gen/otlp_pb.ts";
import {
  collectOnce,
  type End,
  isInterrupted,
  observe,
  type ObserveOptions,
  plainAttributes,
} from "./support/collector.ts";
import { Journal } from "./support/journal.ts";
import { assertOutOfMemory, littleMemory } from "./support/little-memory.ts";
import { hex } from "./support/records.ts";
import { otherRuntime, ownRuntime } from "./support/runtimes.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-exit-"));
after(() => rmSync(directory, { recursive: true }));

/** One way to end. */
interface Ending {
  readonly name: string;
  /** As tests/testdata/ending.ts calls it. */
  readonly how: string;
  readonly options?: ObserveOptions;
  /** Throws when the program did not end as it was meant to. */
  check(end: End, text: string): void;
}

const endings: Ending[] = [
  {
    name: "process.exit() straight after the last end()",
    how: "exit",
    check: (end) => assert.deepEqual(end, { code: 3, signal: null }),
  },
  {
    name: "an exception that nobody catches",
    how: "throw",
    check: (end, text) => {
      assert.deepEqual(end, { code: 1, signal: null });
      assert.match(text, /nobody catches this/);
    },
  },
  {
    name: "a rejection that nobody handles",
    how: "reject",
    check: (end, text) => {
      assert.deepEqual(end, { code: 1, signal: null });
      assert.match(text, /nobody handles this/);
    },
  },
  {
    name: "SIGTERM without a handler",
    how: "terminate",
    check: (end) => assert.deepEqual(end, { code: null, signal: "SIGTERM" }),
  },
];

if (littleMemory !== null) {
  endings.push({
    name: "no memory left",
    how: "exhaust",
    options: littleMemory,
    check: assertOutOfMemory,
  });
}

describe("everything recorded arrives after", () => {
  for (const { name, how, options, check } of endings) {
    it(name, async () => {
      const place = join(directory, how);
      mkdirSync(place);
      const journalPath = join(directory, `${how}.journal`);
      const journal = Journal.create(journalPath);
      const program = observe(
        ownRuntime,
        "tests/testdata/ending.ts",
        [how, place, journalPath],
        options,
      );
      check(await program.ended, program.text());
      const { entered, returned } = journal;
      journal.close();
      assert.ok(returned >= 20, `only ${returned} spans before the end`);

      const { spans } = await collectOnce([place], otherRuntime);
      assert.deepEqual(readdirSync(place), [], "the drained file is removed");
      const byName = new Map(spans.map((each) => [each.span.name, each]));
      assert.equal(byName.size, spans.length, "none twice");
      for (let number = 0; number < returned; number++) {
        const each = byName.get(`span ${number}`);
        assert.ok(each, `span ${number} of ${returned}`);
        const value = BigInt(number);
        assert.deepEqual(plainAttributes(each.span.attributes), { number: value, late: value });
        assert.deepEqual(
          each.span.events.map((event) => [event.name, plainAttributes(event.attributes)]),
          [["event", { number: value }]],
        );
        assert.equal(each.span.status?.code ?? 0, Status_StatusCode.UNSET);
        assert.ok(each.span.endTimeUnixNano >= each.span.startTimeUnixNano);
      }

      const outer = byName.get("outer")!;
      const inner = byName.get("inner")!;
      assert.ok(outer && inner, "spans that were open");
      const last = spans.flatMap((each) => [
        each.span.startTimeUnixNano,
        ...each.span.events.map(({ timeUnixNano }) => timeUnixNano),
        ...(isInterrupted(each) ? [] : [each.span.endTimeUnixNano]),
      ]).reduce((a, b) => a > b ? a : b);
      for (const { span } of [outer, inner]) {
        assert.equal(span.status?.code, Status_StatusCode.ERROR);
        assert.equal(span.status?.message, "the process ended before the span did");
        assert.ok(span.endTimeUnixNano >= span.startTimeUnixNano);
        assert.equal(span.endTimeUnixNano, last, "ends with the last thing recorded");
      }
      assert.deepEqual(plainAttributes(outer.span.attributes), {
        "open": true,
        "otlp_mmap.interrupted": true,
      });
      assert.deepEqual(plainAttributes(inner.span.attributes), {
        "late": 1n,
        "otlp_mmap.interrupted": true,
      });
      assert.equal(inner.span.events.length, 1);
      assert.equal(hex(inner.span.parentSpanId), hex(outer.span.spanId));
      // Beyond these there is at most the span that was being recorded.
      const others = spans.length - returned - 2;
      assert.ok(others === 0 || others === 1 && entered > returned, `${others} more spans`);
    });
  }
});
