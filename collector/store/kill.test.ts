/** A collector that is killed in the middle of storing: what it had acknowledged is there. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, it } from "node:test";
import { commandLineOf, ownRuntime, plainEnvironment } from "../../tests/support/runtimes.ts";
import { Random, seed } from "../../tests/support/random.ts";
import { folders } from "../testing/run.ts";
import { openQueries } from "./queries/queries.ts";
import { openStore } from "./store.ts";
import { hexId, span, traces } from "./testing/requests.ts";

const folder = folders("kill");

/** Lets a process store spans, and kills it after some transactions. The number it said last. */
async function killed(path: string, transactions: number, wait: number): Promise<number> {
  const [command, ...args] = commandLineOf(ownRuntime, "collector/store/testing/writing.ts", [
    path,
  ]);
  const child = spawn(command, args, {
    stdio: ["ignore", "pipe", "inherit"],
    env: plainEnvironment() as NodeJS.ProcessEnv,
  });
  let last = 0;
  let lines = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    last = Number(line);
    // Somewhere in the transaction that follows.
    if (++lines === transactions) setTimeout(() => child.kill("SIGKILL"), wait);
  }
  return last;
}

describe(`a store whose process is killed (seed ${seed})`, () => {
  it("has everything that was acknowledged, again and again", async () => {
    const random = new Random();
    const path = join(folder(), "store.db");
    for (let round = 0; round < 3; round++) {
      // Each round sends everything again from the first span on: what is there counts once.
      const last = await killed(path, 30 + random.below(60) + round * 60, random.below(5));
      assert.ok(last > 0);
      const outside = openQueries(path);
      const before = outside.state();
      outside.close();
      const store = openStore({ path, maxBytes: 2 ** 30, maxAgeMs: 1e12, windowBytes: 20_000 });
      const queries = openQueries(path, store.tails);
      const { spans, logs } = queries.state();
      assert.equal(before.spans, spans);
      assert.ok(spans >= last, `${spans} of ${last}`);
      // Whole transactions: of the one that was not acknowledged all or nothing.
      assert.equal(spans % 20, 0);
      assert.equal(logs, spans / 20);
      for (const number of [1, last, Math.ceil(last / 2), 1 + random.below(last)]) {
        const found = queries.trace(hexId(16, number))!;
        assert.deepEqual(found.spans.map(({ spanId }) => spanId), [hexId(8, number)]);
        const rows = queries.searchSpans({
          attributes: [{ key: "number", value: { intValue: String(number) } }],
        }).rows;
        assert.deepEqual(rows.map(({ spanId }) => spanId), [hexId(8, number)]);
      }
      const seen = new Set<string>();
      for (let cursor: string | null = null;;) {
        const page = queries.searchSpans({}, {
          limit: 1_000,
          ...(cursor === null ? {} : { cursor }),
        });
        for (const { spanId } of page.rows) seen.add(spanId);
        cursor = page.next;
        if (cursor === null) break;
      }
      assert.equal(seen.size, spans);
      const text = `"request ${Math.floor((last - 1) / 20)}"`;
      assert.ok(queries.searchLogs({ text }).rows.length > 0, text);
      store.ingest([traces("writer", [span(last, last)])]);
      assert.equal(queries.state().spans, spans);
      queries.close();
      store.close();
    }
  });
});
