import assert from "node:assert/strict";
import { it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createConnections } from "./connection.ts";
import { startHttpBackend } from "../testing/servers.ts";
import { parseTarget } from "../options/endpoint.ts";

it("a request that was given up is not sent again by the runtime", async () => {
  const { url, seen } = await startHttpBackend((response, _, count) => {
    if (count === 1) response.end();
  });
  const connections = createConnections(parseTarget(url), {});
  const body = new Uint8Array(10);
  try {
    assert.equal((await connections.post(body, 5000).response).status, 200);
    // On the same connection.
    const late = connections.post(body, 200).response;
    await assert.rejects(late, { code: "ANSWER_TIMEOUT" });
    await sleep(300);
    assert.equal(seen.length, 2);
  } finally {
    connections.close();
  }
});
