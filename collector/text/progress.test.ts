/** Progress as people see it, in a terminal, and what others get to see of it: nothing. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { after, afterEach, before, describe, it } from "node:test";
import { Writer } from "../../lib/writer.ts";
import { startCollector } from "../../tests/support/collector.ts";
import { folders, until } from "../testing/run.ts";
import { inTerminal, type Watched } from "../testing/terminal.ts";

const folder = folders("progress");
/** Requests that wait for their answer. */
let held: ServerResponse[] = [];
let holds = true;
const server = createServer((request, response) => {
  request.resume().once("end", () => {
    if (holds) held.push(response);
    else response.end();
  });
});
let endpoint = "";

before(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => void server.close());
afterEach(() => void (holds = true));

function release(): void {
  holds = false;
  for (const response of held) response.end();
  held = [];
}

/** A file with spans, whose owner is gone. */
function leave(): string {
  const path = join(folder(), "a.otlp");
  const writer = Writer.create(path);
  const scope = writer.scope({ name: "s" });
  for (let i = 0; i < 10; i++) scope.startSpan("work").end();
  writer.close();
  return path;
}

const BAR = / \[#*-+\] +\d+ %/;

async function endsWell(watched: Watched, what: string): Promise<void> {
  await until(`a bar: ${what}`, () => watched.text().includes(what) && BAR.test(watched.text()));
  release();
  assert.equal(await watched.ended, 0, watched.text());
  // The bar is gone before anything else is said.
  const last = watched.text().split("\r\x1b[K").at(-1)!;
  assert.doesNotMatch(last, BAR);
  assert.match(last, /delivered/);
}

describe("progress", () => {
  if (process.platform === "linux") {
    it("is shown while files are recovered", async () => {
      const args = ["recover", leave(), "--endpoint", endpoint];
      await endsWell(inTerminal(args, {}), "recovering");
    });

    it("is shown while lines are imported", async () => {
      const file = join(folder(), "lines.json");
      const span = { traceId: "1".repeat(32), spanId: "2".repeat(16), name: "a" };
      const line = JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] });
      writeFileSync(file, `${line}\n`.repeat(20));
      await endsWell(inTerminal(["import", file, "--endpoint", endpoint], {}), "importing");
    });

    it("is shown while --once delivers", async () => {
      const args = ["collect", "--once", leave(), "--endpoint", endpoint];
      await endsWell(inTerminal(args, {}), "delivering");
    });

    it("is shown at the end of following, and not before", async () => {
      const watched = inTerminal(["collect", leave(), "--endpoint", endpoint], {});
      await until("a request", () => held.length > 0);
      assert.doesNotMatch(watched.text(), BAR);
      watched.type("\x03");
      await endsWell(watched, "delivering");
    });

    for (const [name, env] of [["TERM=dumb", { TERM: "dumb" }], ["CI", { CI: "true" }]] as const) {
      it(`is not shown with ${name}`, async () => {
        const watched = inTerminal(["recover", leave(), "--endpoint", endpoint], env);
        await until("a request", () => held.length > 0);
        // A bar would have been there by then.
        await new Promise((wake) => setTimeout(wake, 500));
        release();
        assert.equal(await watched.ended, 0, watched.text());
        assert.match(watched.text(), /delivered/);
        assert(!watched.text().includes(" %") && !watched.text().includes("\x1b"));
      });
    }
  }

  it("is not shown where there is no terminal", async () => {
    const collector = startCollector(["--once", leave(), "--endpoint", endpoint]);
    await until("a request", () => held.length > 0);
    await new Promise((wake) => setTimeout(wake, 500));
    release();
    assert.equal((await collector.ended).code, 0, collector.text());
    assert.match(collector.text(), /delivered/);
    assert(!collector.text().includes(" %") && !collector.text().includes("\r"));
  });
});
