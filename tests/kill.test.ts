/**
 * What had been recorded when a process was killed in the middle of recording: all of it arrives.
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { Mapping } from "../ffi/mod.ts";
import { readGeometry } from "../lib/file/geometry.ts";
import { closes, readLedger } from "../lib/file/ledger.ts";
import { RING_NAMES } from "../lib/format/layout.ts";
import { CALLS_PER_SPAN, expectedAfter, type ExpectedSpan, recordsAfter } from "./support/calls.ts";
import type { CollectedSpan } from "./support/collect.ts";
import { collectOnce, observe, plainAttributes } from "./support/collector.ts";
import { Journal } from "./support/journal.ts";
import { Random, seed } from "./support/random.ts";
import { hex } from "./support/records.ts";
import { isFullSize, otherRuntime, ownRuntime } from "./support/runtimes.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-kill-"));
after(() => rmSync(directory, { recursive: true }));

const KILLS = isFullSize ? 1000 : 100;
/** Files that one collector finds. */
const GROUP = 10;
/** Their records fit into the rings: 6 of a span are in the spans ring, 2 in the events ring. */
const CALLS = 2500 * CALLS_PER_SPAN;
/** A kill comes within this many ms after the first call. */
const WINDOW_MS = 60;

/** A writer that was killed. */
interface Killed {
  readonly name: string;
  readonly entered: number;
  readonly returned: number;
}

async function killWriter(place: string, name: string, random: Random): Promise<Killed> {
  const path = join(directory, `${name}.journal`);
  const journal = Journal.create(path);
  const writer = observe(ownRuntime, "tests/testdata/continuous-writer.ts", [
    ...[place, path, name, `${CALLS}`],
  ]);
  const delay = random.below(WINDOW_MS * 1000) / 1000;
  try {
    for (const deadline = Date.now() + 20_000; journal.returned === 0;) {
      if (Date.now() > deadline || writer.child.exitCode !== null) {
        throw new Error(`the writer did not write: ${writer.text()}`);
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    // A timer would be late by up to a millisecond, and not at random.
    for (const due = performance.now() + delay; performance.now() < due;);
    const { signal } = await writer.stop("SIGKILL");
    assert.equal(signal, "SIGKILL");
    return { name, entered: journal.entered, returned: journal.returned };
  } finally {
    await writer.stop("SIGKILL");
    journal.close();
    rmSync(path);
  }
}

/** Of the files of a place, by ring: what was offered, and what was claimed. */
function count(place: string): { offered: number; claimed: number[] } {
  let offered = 0;
  const claimed = [0, 0, 0];
  for (const name of readdirSync(place)) {
    const mapping = Mapping.open(join(place, name));
    const geometry = readGeometry(name, mapping.u8, mapping.size);
    assert.ok("rings" in geometry);
    for (const ring of geometry.rings) {
      const ledger = readLedger(mapping, ring);
      assert.ok(closes(ledger), JSON.stringify(ledger));
      assert.equal(ledger.pending, ledger.claimed, "nobody has read it");
      offered += ledger.offered;
      claimed[ring.ring] += ledger.claimed;
    }
    mapping.close();
  }
  return { offered, claimed };
}

/** What the collector says became of what was claimed in a ring; both equations must hold. */
function checkSummary(text: string, ring: string, claimed: number): void {
  const line = new RegExp(`ledger of the ${ring} rings.*: (.*) offered.*`).exec(text)?.[0];
  if (claimed === 0) return assert.equal(line, undefined);
  assert.ok(line !== undefined && !line.includes("does not close"), text);
  const number = (what: string): number => Number(new RegExp(`(\\d+) ${what}`).exec(line)![1]);
  assert.equal(number("claimed"), claimed);
  assert.equal(number("offered"), claimed + number("refused"));
  const parts = ["delivered", "torn", "rejected", "discarded", "pending"].map(number);
  assert.equal(parts.reduce((sum, part) => sum + part, 0), claimed);
  assert.deepEqual([number("rejected"), number("pending")], [0, 0]);
}

/** What arrived of a span, in the words of `expectedAfter`. */
function arrived({ span }: CollectedSpan): ExpectedSpan {
  assert.deepEqual(
    [span.droppedAttributesCount, span.droppedEventsCount, span.droppedLinksCount],
    [0, 0, 0],
  );
  return {
    traceId: hex(span.traceId),
    spanId: hex(span.spanId),
    parentSpanId: hex(span.parentSpanId),
    name: span.name,
    kind: span.kind,
    start: span.startTimeUnixNano,
    end: span.endTimeUnixNano,
    attributes: plainAttributes(span.attributes),
    events: span.events.map((event) => ({
      name: event.name,
      time: event.timeUnixNano,
      attributes: plainAttributes(event.attributes),
    })),
    links: span.links.map((link) => ({
      traceId: hex(link.traceId),
      spanId: hex(link.spanId),
      traceState: link.traceState,
      attributes: plainAttributes(link.attributes),
    })),
    status: { code: span.status?.code ?? 0, message: span.status?.message ?? "" },
  };
}

/** Compares what arrived with what must have, without or with the call that was under way. */
function compare(
  killed: Killed,
  spans: CollectedSpan[],
): { own: number; outcome: "with" | "without" } {
  const { name, entered, returned } = killed;
  const all = spans.filter(({ resource }) =>
    plainAttributes(resource.resource!.attributes).writer === name
  );
  const actual = new Map(all.map((span) => [hex(span.span.spanId), arrived(span)]));
  assert.equal(actual.size, all.length, `${name}: a span came twice`);
  const order = (spans: Map<string, ExpectedSpan>): ExpectedSpan[] =>
    [...spans.values()].sort((a, b) => a.spanId < b.spanId ? -1 : 1);
  if (entered > returned) {
    try {
      assert.deepEqual(order(actual), order(expectedAfter(entered)));
      return { own: all.length, outcome: "with" };
    } catch {
      // Then it must be without.
    }
  }
  assert.deepEqual(order(actual), order(expectedAfter(returned)), `${name}: call ${returned}`);
  return { own: all.length, outcome: "without" };
}

describe("a process killed while it records", () => {
  it(
    `has everything delivered that it recorded, ${KILLS} times`,
    { timeout: isFullSize ? 3_000_000 : 300_000 },
    async () => {
      const random = new Random();
      let inside = 0;
      let present = 0;
      let calls = 0;
      console.log(`seed ${seed}`);
      for (let group = 0; group < KILLS / GROUP; group++) {
        const place = join(directory, `place-${group}`);
        mkdirSync(place);
        const killed: Killed[] = [];
        let offered = 0;
        let claimed: number[] = [];
        for (let i = 0; i < GROUP; i++) {
          const each = await killWriter(place, `writer ${group * GROUP + i}`, random);
          const all = count(place);
          const added = all.offered - offered;
          const { entered, returned } = each;
          // The record of the call that was under way was claimed, or was not.
          assert.ok(
            [recordsAfter(returned), recordsAfter(entered)].includes(added),
            `${added} records were offered by ${returned} calls, or ${entered}`,
          );
          ({ offered, claimed } = all);
          killed.push(each);
        }
        const { spans, text } = await collectOnce(
          [place],
          group % 2 === 0 ? ownRuntime : otherRuntime,
        );
        RING_NAMES.forEach((ring, i) => checkSummary(text, ring, claimed[i]));
        let compared = 0;
        for (const each of killed) {
          calls += each.returned;
          const { own, outcome } = compare(each, spans);
          compared += own;
          if (each.entered === each.returned) continue;
          inside++;
          if (outcome === "with") present++;
        }
        assert.equal(compared, spans.length, "nothing of anybody else");
        assert.match(text, new RegExp(` from ${GROUP} files`));
        assert.deepEqual(readdirSync(place), [], "drained files are removed");
        rmSync(place, { recursive: true });
      }
      console.log(
        `${KILLS} kills after ${calls} calls, ${inside} of them inside a call ` +
          `(whose record was there ${present} times)`,
      );
      assert.ok(inside >= KILLS / 3, `only ${inside} of ${KILLS} kills fell inside a call`);
    },
  );
});
