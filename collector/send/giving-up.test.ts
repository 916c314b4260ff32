import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, describe, it } from "node:test";
import { createSender, type Sender } from "./send.ts";

const servers: Server[] = [];
after(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

/** A server that answers by the number of the request, from 1; with null never. */
async function serve(answer: (count: number) => number | null): Promise<{
  url: string;
  requests: () => number;
}> {
  let count = 0;
  const server = createServer((request, response) => {
    request.resume();
    const status = answer(++count);
    if (status !== null) response.writeHead(status).end();
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/v1/traces`, requests: () => count };
}

function senderTo(url: string, maxElapsedMs: number): Sender {
  return createSender({
    signal: "traces",
    url,
    timeoutMs: 100,
    backoff: { initialMs: 10, maxMs: 40, factor: 1.5, jitter: 0.5 },
    maxElapsedMs,
    log: () => {},
  });
}

const BODY = new Uint8Array(0);

describe("giving up", () => {
  it("is for all requests at once, of a backend that does not answer", async () => {
    const { url, requests } = await serve(() => null);
    const sender = senderTo(url, 400);
    const first = await sender.send(BODY, 5);
    assert.deepEqual([first.dropped, first.gaveUp], [5, true]);
    const tried = requests();
    assert.ok(tried > 1);
    for (let i = 0; i < 10; i++) {
      const { dropped, gaveUp, reason } = await sender.send(BODY, 5);
      assert.deepEqual([dropped, gaveUp], [5, true]);
      assert.match(reason ?? "", /given up after .* \(attempts: 0\): .* too slow/);
    }
    assert.equal(requests(), tried);
    await sender.close();
  });

  it("is not for those that come when the backend answers again, whatever it says", async () => {
    // Each request fails first; without the answers in between, there was no time for all of them.
    const statuses = [503, 200, 503, 400, 503, 413];
    const { url } = await serve((count) => statuses[(count - 1) % statuses.length]);
    const sender = senderTo(url, 2000);
    const began = performance.now();
    for (let i = 0; performance.now() - began < 2500; i++) {
      const { accepted, dropped, gaveUp } = await sender.send(BODY, 1);
      assert.equal(gaveUp, undefined);
      assert.deepEqual([accepted, dropped], i % 3 === 0 ? [1, 0] : [0, 1]);
      await new Promise((wake) => setTimeout(wake, 20));
    }
    await sender.close();
  });
});
