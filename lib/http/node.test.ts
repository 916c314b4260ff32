import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { after, before, describe, it } from "node:test";
import { SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { traceFetch } from "./fetch.ts";
import { type ListenerOptions, traceListener } from "./node.ts";
import { installGlobals, record, removeGlobals, sleep } from "./testing/recording.ts";

before(installGlobals);
after(removeGlobals);

const recording = record();

async function withServer(
  listener: (request: IncomingMessage, response: ServerResponse) => unknown,
  test: (url: string, port: number) => Promise<void>,
  options: ListenerOptions = {},
): Promise<void> {
  const server = createServer(traceListener(listener, { ...recording, ...options }));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  try {
    await test(`http://127.0.0.1:${port}`, port);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

describe("the span of a request to a listener of node:http", () => {
  it("has name, kind and attributes of the conventions", async () => {
    await withServer((_, response) => {
      response.setHeader("x-a", ["1", "2"]);
      response.end("hello");
    }, async (url, port) => {
      const response = await fetch(`${url}/items?q=1&sig=2`, {
        headers: { "user-agent": "tester/1", "x-tenant": "t" },
      });
      assert.equal(await response.text(), "hello");
      const span = await recording.one();
      assert.equal(span.name, "GET");
      assert.equal(span.kind, SpanKind.SERVER);
      assert.equal(span.status.code, SpanStatusCode.UNSET);
      const { "network.peer.port": peerPort, ...attributes } = span.attributes;
      assert.ok(Number.isInteger(peerPort));
      assert.deepEqual(attributes, {
        "http.request.method": "GET",
        "http.request.header.x-tenant": ["t"],
        "http.response.status_code": 200,
        "http.response.header.x-a": ["1", "2"],
        "url.path": "/items",
        "url.query": "q=1&sig=REDACTED",
        "url.scheme": "http",
        "server.address": "127.0.0.1",
        "server.port": port,
        "client.address": "127.0.0.1",
        "network.peer.address": "127.0.0.1",
        "network.protocol.version": "1.1",
        "user_agent.original": "tester/1",
      });
    }, { captureRequestHeaders: ["x-tenant"], captureResponseHeaders: ["x-a"] });
  });

  it("is active in the listener and a child of the caller's span", async () => {
    let active: string | undefined;
    await withServer(async (_, response) => {
      await sleep(1);
      active = trace.getActiveSpan()?.spanContext().spanId;
      response.end();
    }, async (url) => {
      await (await traceFetch(fetch, recording)(url)).text();
      const spans = await recording.take(2);
      const server = spans.find((span) => span.kind === SpanKind.SERVER)!;
      const client = spans.find((span) => span.kind === SpanKind.CLIENT)!;
      assert.equal(active, server.spanContext().spanId);
      assert.equal(server.parentSpanContext?.spanId, client.spanContext().spanId);
    });
  });

  it("is an error from 500 on", async () => {
    await withServer((request, response) => {
      response.statusCode = Number(request.url!.slice(1));
      response.end();
    }, async (url) => {
      await (await fetch(`${url}/404`)).text();
      assert.equal((await recording.one()).status.code, SpanStatusCode.UNSET);
      await (await fetch(`${url}/502`)).text();
      const span = await recording.one();
      assert.equal(span.attributes["error.type"], "502");
      assert.equal(span.status.code, SpanStatusCode.ERROR);
    });
  });

  it("ends when the body is sent, not before", async () => {
    let finish = (): void => {};
    await withServer((_, response) => {
      response.write("first,");
      finish = () => response.end("last");
    }, async (url) => {
      const reader = (await fetch(url)).body!.getReader();
      await reader.read();
      await sleep(50);
      assert.equal(recording.ended().length, 0);
      finish();
      while (!(await reader.read()).done);
      assert.equal((await recording.one()).status.code, SpanStatusCode.UNSET);
    });
  });

  it("is an error when the client does not wait for the body", async () => {
    await withServer((_, response) => {
      const timer = setInterval(() => response.write("x".repeat(1000)), 5);
      response.once("close", () => clearInterval(timer));
    }, async (url, port) => {
      assert.ok(url);
      const socket = connect(port, "127.0.0.1");
      socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
      await once(socket, "data");
      socket.destroy();
      const span = await recording.one();
      assert.equal(span.attributes["error.type"], "aborted");
      assert.equal(span.attributes["http.response.status_code"], 200);
      assert.equal(span.status.code, SpanStatusCode.ERROR);
    });
  });

  it("records what the listener throws and throws it again", async () => {
    const thrown = new RangeError("none left");
    const { promise: caught, resolve } = Promise.withResolvers<unknown>();
    const failing = traceListener((): Promise<void> => Promise.reject(thrown), recording);
    const server = createServer((request, response) => {
      failing(request, response).catch((error) => {
        resolve(error);
        response.statusCode = 500;
        response.end();
      });
    });
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    await (await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)).text();
    assert.equal(await caught, thrown);
    const span = await recording.one();
    assert.equal(span.attributes["error.type"], "RangeError");
    assert.equal(span.attributes["http.response.status_code"], 500);
    assert.deepEqual(span.status, { code: SpanStatusCode.ERROR, message: "none left" });
    assert.equal(span.events.length, 1);
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  });

  it("is not made for ignored requests", async () => {
    await withServer((_, response) => response.end(), async (url) => {
      await (await fetch(`${url}/health`)).text();
      await sleep(20);
      assert.equal(recording.ended().length, 0);
    }, { ignore: (request) => request.url === "/health" });
  });
});
