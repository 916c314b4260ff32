import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { SpanKind } from "@opentelemetry/api";
import { onBun } from "./testing/recording.ts";

const SERVER = "http.server.request.duration";
const CLIENT = "http.client.request.duration";

/** Runs a program with this runtime and gives what it printed. */
async function run(args: string[]): Promise<string> {
  const child = spawn(process.execPath, onBun ? args : ["run", "-A", ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [output, errors, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "exit"),
  ]);
  assert.equal(code, 0, errors);
  return output;
}

// deno-lint-ignore no-explicit-any
async function scenario(name: string): Promise<any> {
  const script = fileURLToPath(new URL("./testing/patched.ts", import.meta.url));
  return JSON.parse(await run([script, name]));
}

describe("instrumented HTTP", { timeout: 120_000 }, () => {
  it("has spans and metrics on both sides, but for what is ignored", async () => {
    const { text, spans, counts } = await scenario("plain");
    assert.equal(text, "true");
    const [first, second, ...clients] = spans;
    assert.deepEqual([first.kind, second.kind], [SpanKind.SERVER, SpanKind.SERVER]);
    assert.equal(first.attributes["url.path"], "/a");
    assert.equal(second.attributes["url.query"], "a=2");
    assert.equal(clients.length, 3);
    assert.equal(first.parent, clients[0].id);
    assert.equal(first.traceId, clients[0].traceId);
    assert.deepEqual(counts, { [SERVER]: 2, [CLIENT]: 3 });
  });

  it("records what the application's error handler answers", async () => {
    const { text, spans: [server, client] } = await scenario("failing");
    assert.equal(text, "sorry");
    assert.equal(server.attributes["http.response.status_code"], 503);
    assert.equal(server.attributes["error.type"], "RangeError");
    assert.equal(client.attributes["error.type"], "503");
  });

  it("makes one span where the application uses the wrappers, with their options", async () => {
    const { spans, counts } = await scenario("wrapped");
    assert.deepEqual(spans.map((span: { kind: number }) => span.kind), [
      SpanKind.SERVER,
      SpanKind.SERVER,
      SpanKind.CLIENT,
      SpanKind.CLIENT,
    ]);
    for (const server of spans.slice(0, 2)) {
      assert.deepEqual(server.attributes["http.request.header.x-tenant"], ["t"]);
    }
    assert.deepEqual(counts, { [SERVER]: 2, [CLIENT]: 2 });
  });

  it("is that of node:http, too", async () => {
    const { text, spans, counts } = await scenario("node");
    assert.equal(text, "true");
    const servers = spans.filter((span: { kind: number }) => span.kind === SpanKind.SERVER);
    assert.deepEqual(
      // deno-lint-ignore no-explicit-any
      servers.map(({ attributes }: any) => [
        attributes["url.path"],
        attributes["network.protocol.version"],
        attributes["http.request.header.x-tenant"],
      ]),
      [["/a", "1.1", undefined], ["/b", "1.1", ["t"]]],
    );
    assert.deepEqual(counts, { [SERVER]: 2, [CLIENT]: 3 });
  });

  it("is instrumented once, however often it is asked for", async () => {
    const { spans, counts, warnings } = await scenario("twice");
    assert.equal(spans.length, 4);
    assert.deepEqual(counts, { [SERVER]: 2, [CLIENT]: 2 });
    assert.equal(warnings.length, 1);
    assert.match(warnings[0], /instrumented already/);
  });

  it("can be undone, also for servers that run, and done again", async () => {
    const { restored, spans, counts, warnings } = await scenario("undone");
    assert.deepEqual(restored, [true, true, true]);
    // The server is from before: what comes after the undoing is only the client's.
    assert.deepEqual(spans.map((span: { kind: number }) => span.kind), [
      SpanKind.SERVER,
      SpanKind.CLIENT,
      SpanKind.CLIENT,
    ]);
    assert.deepEqual(counts, { [SERVER]: 1, [CLIENT]: 2 });
    assert.deepEqual(warnings, []);
  });

  // `deno run` serves no default export.
  onBun && it("reaches what Bun serves by default", async () => {
    const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
    const child = spawn(process.execPath, [
      "--preload",
      path("./testing/preload.ts"),
      path("./testing/exported.ts"),
    ], { stdio: ["ignore", "pipe", "inherit"] });
    try {
      let span: string | undefined;
      for await (const line of createInterface({ input: child.stdout })) {
        const url = /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0];
        if (url !== undefined) assert.equal(await (await fetch(`${url}/a`)).text(), "exported");
        if (line.startsWith("span: ")) span = line;
      }
      assert.equal(span, "span: GET /a");
    } finally {
      child.kill();
    }
  });
});
