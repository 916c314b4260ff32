import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { accept, until } from "../testing/run.ts";
import { type Answer, createRetrying } from "./retrying.ts";

const RETRY: Answer = { kind: "retry", key: "away", reason: "it is away" };
const TAKEN: Answer = { kind: "taken", rejected: 0 };

describe("several batches at a time", () => {
  it("are tried one by one while attempts fail, and arrive in their order", async () => {
    let isAway = true;
    let running = 0;
    let most = 0;
    const tried: number[] = [];
    const taken: number[] = [];
    const sender = createRetrying({
      signal: "traces",
      backoff: { initialMs: 5, maxMs: 5, factor: 1, jitter: 0.5 },
      maxElapsedMs: Infinity,
      log: () => {},
    }, {
      url: "http://h/v1/traces",
      prepare: (body) => body,
      attempt: ([number]) => {
        tried.push(number);
        most = Math.max(most, ++running);
        const answer = new Promise<Answer>((resolve) =>
          setTimeout(() => {
            running--;
            if (!isAway) taken.push(number);
            resolve(isAway ? RETRY : TAKEN);
          }, 5)
        );
        return { answer, cancel: () => {} };
      },
      close: () => {},
    });
    const send = (number: number) => sender.send(Uint8Array.of(number), 1);
    const outcomes = [0, 1, 2].map(send);
    await until("all have failed", () => sender.state.failures >= 3);
    assert.deepEqual([tried.slice(0, 3), most], [[0, 1, 2], 3]);
    most = 0;
    outcomes.push(send(3));
    await until("it was tried again", () => tried.length > 8);
    assert.deepEqual(new Set(tried.slice(3, 9)), new Set([0]));
    assert.equal(most, 1);
    isAway = false;
    assert.deepEqual(await Promise.all(outcomes), Array(4).fill(accept(1)));
    assert.deepEqual(taken, [0, 1, 2, 3]);
    assert.ok(most > 1, "all the others at a time");
    await sender.close();
  });

  it("do not wait for ever for one that the backend can't take", async () => {
    const taken: number[] = [];
    const sender = createRetrying({
      signal: "traces",
      backoff: { initialMs: 1, maxMs: 1, factor: 1, jitter: 0 },
      maxElapsedMs: Infinity,
      log: () => {},
    }, {
      url: "http://h/v1/traces",
      prepare: (body) => body,
      attempt: ([number]) => {
        if (number !== 0) taken.push(number);
        return { answer: Promise.resolve(number === 0 ? RETRY : TAKEN), cancel: () => {} };
      },
      close: () => {},
    });
    const send = (number: number) => sender.send(Uint8Array.of(number), 1);
    const bad = send(0);
    await until("it has failed", () => sender.state.failures > 0);
    for (let number = 1; number <= 20; number++) assert.deepEqual(await send(number), accept(1));
    assert.deepEqual(taken, Array.from({ length: 20 }, (_, i) => i + 1));
    sender.abort("the end");
    assert.equal((await bad).gaveUp, true);
    await sender.close();
  });

  it("are all given up when they are told to stop", async () => {
    const sender = createRetrying({
      signal: "traces",
      backoff: { initialMs: 1e6, maxMs: 1e6, factor: 1, jitter: 0 },
      maxElapsedMs: Infinity,
      log: () => {},
    }, {
      url: "http://h/v1/traces",
      prepare: (body) => body,
      attempt: () => ({ answer: Promise.resolve(RETRY), cancel: () => {} }),
      close: () => {},
    });
    const outcomes = [1, 2].map(() => sender.send(new Uint8Array(1), 1));
    await until("it failed", () => sender.state.failures === 2);
    outcomes.push(sender.send(new Uint8Array(1), 1));
    sender.abort("the end");
    for (const { gaveUp } of await Promise.all(outcomes)) assert.equal(gaveUp, true);
    await sender.close();
  });
});
