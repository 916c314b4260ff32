import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { ownRuntime, run } from "../../tests/support/runtimes.ts";

describe("memory of requests over gRPC", () => {
  it("is given back while a gigabyte is sent", { timeout: 120_000 }, async () => {
    // On Bun, whose memory is not what is looked at.
    const backend = run("bun", "much-over-grpc.ts");
    backend.output.catch(() => {});
    try {
      const [url] = await once(backend.child.stdout!, "data");
      const said = await run(ownRuntime, "much-over-grpc.ts", `${url}`.trim()).output;
      const most = Number(/^\d+/.exec(said)?.[0]);
      assert.ok(most < 700, said);
      console.log(said.trim());
    } finally {
      backend.child.kill("SIGKILL");
    }
  });
});
