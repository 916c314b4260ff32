import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { startSender } from "../testing/senders.ts";
import { startHttpBackend } from "../testing/servers.ts";
import { createConnector } from "./connect.ts";

const BODY = new Uint8Array(0);

describe("giving up", () => {
  it("is for all requests at once, of a backend that does not answer", async () => {
    const { url, seen } = await startHttpBackend(() => {});
    const sender = startSender(url, { timeoutMs: 100, maxElapsedMs: 400 });
    const first = await sender.send(BODY, 5);
    assert.deepEqual([first.dropped, first.gaveUp], [5, true]);
    const tried = seen.length;
    assert.ok(tried > 1);
    // It was given up because the time would be over after the next wait, of 40 ms at most.
    await new Promise((wake) => setTimeout(wake, 50));
    for (let i = 0; i < 10; i++) {
      const { dropped, gaveUp, reason } = await sender.send(BODY, 5);
      assert.deepEqual([dropped, gaveUp], [5, true]);
      assert.match(reason ?? "", /given up after .* \(attempts: 0\): .* too slow/);
    }
    assert.equal(seen.length, tried);
  });

  it("ends an attempt that has no limit of its own", async () => {
    const { url } = await startHttpBackend(() => {});
    const sender = createConnector(200, () => {})("traces", {
      url,
      protocol: "http/protobuf",
      headers: [],
      compression: "none",
      timeoutMs: 2 ** 31 - 1,
      tls: {},
    });
    after(() => sender.close());
    const { dropped, gaveUp } = await sender.send(BODY, 5);
    assert.deepEqual([dropped, gaveUp], [5, true]);
  });

  it("is not for those that come when the backend answers again, whatever it says", async () => {
    // Each request fails first; without the answers in between, there was no time for all of them.
    const statuses = [503, 200, 503, 400, 503, 413];
    const { url } = await startHttpBackend((response, _, count) => {
      response.writeHead(statuses[(count - 1) % statuses.length]).end();
    });
    const sender = startSender(url, { timeoutMs: 100, maxElapsedMs: 2000 });
    const began = performance.now();
    for (let i = 0; performance.now() - began < 2500; i++) {
      const { accepted, dropped, gaveUp } = await sender.send(BODY, 1);
      assert.equal(gaveUp, undefined);
      assert.deepEqual([accepted, dropped], i % 3 === 0 ? [1, 0] : [0, 1]);
      await new Promise((wake) => setTimeout(wake, 20));
    }
  });
});
