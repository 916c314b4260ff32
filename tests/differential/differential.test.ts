import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { ROOT } from "../../tools/runtimes.ts";
import { startSink } from "../peers/sink.ts";
import { ownRuntime, runCollector, start } from "../support/runtimes.ts";
import { EXPECTED, REFUSED } from "./expected.ts";
import { type Arrived, arrivedBy, differences } from "./normalize.ts";
import { PROGRAMS } from "./programs.ts";

/** Processes that share the programs, for each SDK. */
const PROCESSES = 2;

describe("programs that know the API alone", () => {
  const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-differential-"));
  let ours: Map<string, Arrived>;
  let theirs: Map<string, Arrived>;

  before(async () => {
    const [own, peer] = [await startSink(), await startSink()];
    const names = Object.keys(PROGRAMS);
    const runs = Array.from({ length: PROCESSES }, (_, process) => {
      const share = names.filter((_, i) => i % PROCESSES === process);
      return [["ours.ts", directory], ["peer.ts", peer.url]].map(([file, target]) =>
        start(ownRuntime, join(ROOT, "tests/differential", file), [target, ...share]).output
      );
    });
    await Promise.all(runs.flat());
    const directories = names.map((name) => join(directory, name));
    await runCollector(ownRuntime, "--once", "--endpoint", own.url, ...directories).output;
    ours = arrivedBy({ traces: own.bodies, logs: own.logs, metrics: own.metrics });
    theirs = arrivedBy({ traces: peer.bodies, logs: peer.logs, metrics: peer.metrics });
    await Promise.all([own.stop(), peer.stop()]);
  }, { timeout: 60_000 });
  after(() => rmSync(directory, { recursive: true }));

  for (const name of Object.keys(PROGRAMS)) {
    it(`give the same here and there: ${name}`, () => {
      const none: Arrived = { spans: [], logs: [], metrics: [] };
      const [own, peer] = [ours.get(name) ?? none, theirs.get(name) ?? none];
      const count = ({ spans, logs, metrics }: Arrived) =>
        spans.length + logs.length + metrics.length;
      assert.equal(count(own) > 0, PROGRAMS[name].leavesNothing !== true);
      const expected = EXPECTED.filter(({ program }) => program === name);
      const met = new Set<unknown>();
      const unexpected: string[] = [];
      for (const signal of ["spans", "logs", "metrics"] as const) {
        for (const difference of differences(byName(own[signal]), byName(peer[signal]), signal)) {
          if (REFUSED.test(difference)) continue;
          const known = expected.filter(({ where }) => where.test(difference));
          for (const each of known) met.add(each);
          if (known.length === 0) unexpected.push(difference);
        }
      }
      assert.deepEqual(unexpected, []);
      // What does not differ any more has no place in the table.
      assert.deepEqual(expected.filter((each) => !met.has(each)), []);
    });
  }

  it("are all there of which differences are expected", () => {
    assert.deepEqual(EXPECTED.filter(({ program }) => !Object.hasOwn(PROGRAMS, program)), []);
  });
});

/** Items by their names, which differences then show. */
function byName(items: Arrived["spans"]): Record<string, Arrived["spans"][number]> {
  const all: Record<string, Arrived["spans"][number]> = {};
  for (const item of items) {
    const { name, eventName, body, severityText } = item;
    const key = String(name ?? eventName ?? severityText ?? JSON.stringify(body));
    let unique = key;
    for (let i = 2; unique in all; i++) unique = `${key} ${i}`;
    all[unique] = item;
  }
  return all;
}
