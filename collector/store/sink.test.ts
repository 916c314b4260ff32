/** The store as the end of a pipeline: answers when it is committed, waits while there is no room. */
import assert from "node:assert/strict";
import { statfsSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { mountTmpfs } from "../../tests/support/tmpfs.ts";
import { folders, until } from "../testing/run.ts";
import { openQueries } from "./queries/queries.ts";
import { createStoreSinks, type StoreSinks } from "./sink.ts";
import { openStore, type Store } from "./store.ts";
import { hexId, logs, span, traces } from "./testing/requests.ts";

const folder = folders("store-sink");

function start(path: string, giveUpAfterMs = Infinity): StoreSinks & {
  store: Store;
  lines: string[];
} {
  const store = openStore({ path, maxBytes: 2 ** 30, maxAgeMs: 1e12 });
  const lines: string[] = [];
  const sinks = createStoreSinks(store, {
    giveUpAfterMs,
    log: (level, line) => lines.push(`${level} ${line}`),
  });
  return { ...sinks, store, lines };
}

describe("a sink that stores", () => {
  it("answers with what was taken, when others can see it", async () => {
    const path = join(folder(), "store.db");
    const { sinks, close, lines } = start(path);
    const good = traces("s", [span(1, 1), span(1, 2)]);
    const half = traces("s", [span(2, 3), { ...span(2, 4), traceId: new Uint8Array(3) }]);
    const log = logs("s", [{ body: { value: { case: "stringValue", value: "hello" } } }]);
    const answers = await Promise.all([
      sinks.traces.send(good.body, 2),
      sinks.traces.send(half.body, 2),
      sinks.logs.send(log.body, 1),
    ]);
    assert.deepEqual(
      answers.map(({ accepted, rejected, dropped }) => [accepted, rejected, dropped]),
      [
        [2, 0, 0],
        [1, 1, 0],
        [1, 0, 0],
      ],
    );
    assert.equal(answers[1].reason, "a trace or span id of the wrong size");
    const queries = openQueries(path);
    assert.equal(queries.state().spans, 3);
    assert.equal(queries.searchLogs({ text: "hello" }).rows.length, 1);
    queries.close();
    close();
    const late = await sinks.traces.send(good.body, 2);
    assert.deepEqual([late.dropped, late.gaveUp], [2, true]);
    assert.deepEqual(lines, []);
  });

  it("stores once what came when making room fails after it", async () => {
    const path = join(folder(), "store.db");
    const store = openStore({ path, maxBytes: 2 ** 30, maxAgeMs: 1e12 });
    let failures = 0;
    const retain = (): boolean => {
      failures++;
      throw new Error("the disk is full");
    };
    const lines: string[] = [];
    const log = (_: string, line: string): void => void lines.push(line);
    const { sinks, close } = createStoreSinks({ ...store, retain }, {
      giveUpAfterMs: Infinity,
      log,
    });
    const { body } = logs("s", [{ body: { value: { case: "stringValue", value: "hello" } } }]);
    assert.equal((await sinks.logs.send(body, 1)).accepted, 1);
    assert.ok(failures > 0);
    const queries = openQueries(path);
    assert.equal(queries.searchLogs({ text: "hello" }).rows.length, 1);
    queries.close();
    close();
    assert.deepEqual(lines, []);
  });

  it("gives up what waits when it is told to end", async () => {
    const { sinks, close } = start(join(folder(), "store.db"));
    const pending = sinks.traces.send(traces("s", [span(1, 1)]).body, 1);
    sinks.traces.abort("the end");
    assert.deepEqual(await pending, {
      accepted: 0,
      rejected: 0,
      dropped: 1,
      gaveUp: true,
      reason: "the end",
    });
    close();
  });
});

const disk = folder();
const unmount = mountTmpfs(disk, "size=8m");
// Only root can make a disk of its own, which can then be filled up.
if (unmount !== undefined) {
  describe("a store on a full disk", () => {
    after(unmount);

    it("says so once, keeps what comes, and stores it when there is room", async () => {
      const path = join(disk, "store.db");
      const { sinks, close, lines, store } = start(path);
      const text = { stringValue: "x".repeat(200_000) };
      assert.equal((await sinks.traces.send(traces("s", [span(1, 1)]).body, 1)).accepted, 1);
      const filler = join(disk, "filler");
      writeFileSync(filler, "");
      const { bsize, bfree } = statfsSync(disk);
      writeFileSync(filler, new Uint8Array(bsize * bfree));
      let answered = 0;
      const sent = Array.from({ length: 5 }, (_, i) => {
        const { body } = traces("s", [span(2, i + 2, { values: { text } })]);
        return sinks.traces.send(body, 1).then((outcome) => {
          answered++;
          return outcome;
        });
      });
      await until("a line", () => lines.length > 0);
      // Time for another attempt, of which nothing is said.
      await new Promise((wake) => setTimeout(wake, 1_500));
      assert.equal(answered, 0);
      assert.equal(lines.length, 1, lines.join("\n"));
      assert.match(
        lines[0],
        /^error the store .* the disk is full; .* records stay in their files/,
      );
      unlinkSync(filler);
      for (const { accepted } of await Promise.all(sent)) assert.equal(accepted, 1);
      assert.deepEqual(lines.slice(1), [`info the store ${path} is written again`]);
      const queries = openQueries(path, store.tails);
      assert.equal(queries.trace(hexId(16, 1))!.spans.length, 1);
      assert.equal(queries.trace(hexId(16, 2))!.spans.length, 5);
      queries.close();
      close();
    });

    it("gives up after the time it was given", async () => {
      const path = join(disk, "other.db");
      const { sinks, close } = start(path, 1_000);
      const filler = join(disk, "filler");
      writeFileSync(filler, "");
      const { bsize, bfree } = statfsSync(disk);
      writeFileSync(filler, new Uint8Array(bsize * bfree));
      const text = { stringValue: "x".repeat(200_000) };
      const outcome = await sinks.traces.send(
        traces("s", [span(1, 1, { values: { text } })]).body,
        1,
      );
      assert.deepEqual([outcome.dropped, outcome.gaveUp], [1, true]);
      unlinkSync(filler);
      close();
    });
  });
}
