import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createConnections } from "./connection.ts";
import { parseTarget } from "../options/endpoint.ts";

it("a request that was given up is not sent again by the runtime", async () => {
  let requests = 0;
  const server = createServer((_request, response) => {
    if (++requests === 1) response.end();
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo;
  const connections = createConnections(parseTarget(`http://127.0.0.1:${port}/`), {});
  const body = new Uint8Array(10);
  try {
    assert.equal((await connections.post(body, 5000).response).status, 200);
    // On the same connection.
    const late = connections.post(body, 200).response;
    await assert.rejects(late, { code: "ANSWER_TIMEOUT" });
    await sleep(300);
    assert.equal(requests, 2);
  } finally {
    connections.close();
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  }
});
