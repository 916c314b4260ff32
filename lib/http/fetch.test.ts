import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import { context, propagation, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { suppressTracing } from "@opentelemetry/core";
import { instrumentFetch, traceFetch } from "./fetch.ts";
import { installGlobals, onBun, record, removeGlobals, sleep } from "./testing/recording.ts";

const recording = record();
const tracedFetch = traceFetch(fetch, recording);

/** What the server below received last. */
let received: { headers: IncomingMessage["headers"]; method?: string; body: string };
let server: Server;
let url: string;

before(async () => {
  installGlobals();
  server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    received = { headers: request.headers, method: request.method, body };
    const [, status, pause] = request.url!.split("?")[0].split("/");
    await sleep(Number(pause ?? 0));
    response.writeHead(Number(status || 200), { "x-answer": "42", location: "/200" });
    response.end("answer");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

after(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  removeGlobals();
});

describe("the span of a fetch", () => {
  it("has name, kind and attributes of the conventions", async () => {
    const fetchWithHeaders = traceFetch(fetch, {
      ...recording,
      captureRequestHeaders: ["X-Ask"],
      captureResponseHeaders: ["x-answer", "set-cookie"],
    });
    const response = await fetchWithHeaders(`${url}/200?a=1&sig=s`, {
      headers: { "x-ask": "6*7" },
    });
    const span = await recording.one(); // before the body is read
    assert.equal(await response.text(), "answer");
    assert.equal(span.name, "GET");
    assert.equal(span.kind, SpanKind.CLIENT);
    assert.equal(span.status.code, SpanStatusCode.UNSET);
    assert.deepEqual(span.attributes, {
      "http.request.method": "GET",
      "http.request.header.x-ask": ["6*7"],
      "http.response.status_code": 200,
      "http.response.header.x-answer": ["42"],
      "url.full": `${url}/200?a=1&sig=REDACTED`,
      "server.address": "127.0.0.1",
      "server.port": Number(new URL(url).port),
    });
  });

  it("is a child of the active span, and its context is sent", async () => {
    const tracer = recording.tracerProvider.getTracer("test");
    await tracer.startActiveSpan("parent", async (parent) => {
      const withBaggage = propagation.setBaggage(
        context.active(),
        propagation.createBaggage({ tenant: { value: "t1" } }),
      );
      await (await context.with(withBaggage, () => tracedFetch(url))).text();
      assert.equal(trace.getActiveSpan(), parent);
      parent.end();
    });
    const [client, parent] = await recording.take(2);
    const { traceId, spanId } = client.spanContext();
    assert.equal(client.parentSpanContext?.spanId, parent.spanContext().spanId);
    assert.equal(received.headers.traceparent, `00-${traceId}-${spanId}-01`);
    assert.equal(received.headers.baggage, "tenant=t1");
  });

  for (const status of [400, 404, 500, 503]) {
    it(`is an error when answered ${status}`, async () => {
      await (await tracedFetch(`${url}/${status}`)).text();
      const span = await recording.one();
      assert.equal(span.attributes["error.type"], String(status));
      assert.deepEqual(span.status, { code: SpanStatusCode.ERROR });
      assert.equal(span.events.length, 0);
    });
  }

  it("is an error when nobody answers", async () => {
    const free = createServer();
    await new Promise<void>((resolve) => free.listen(0, "127.0.0.1", resolve));
    const { port } = free.address() as AddressInfo;
    await new Promise((resolve) => free.close(resolve));
    await assert.rejects(tracedFetch(`http://127.0.0.1:${port}/`));
    const span = await recording.one();
    assert.equal(typeof span.attributes["error.type"], "string");
    assert.equal("http.response.status_code" in span.attributes, false);
    assert.equal(span.status.code, SpanStatusCode.ERROR);
    assert.equal(span.events[0].name, "exception");
  });

  it("is an error when a deadline passed", async () => {
    await assert.rejects(tracedFetch(`${url}/200/200`, { signal: AbortSignal.timeout(20) }));
    const span = await recording.one();
    assert.equal(span.attributes["error.type"], "TimeoutError");
    assert.equal(span.status.code, SpanStatusCode.ERROR);
  });

  for (const reason of [undefined, new Error("changed my mind")]) {
    it(`is no error when the caller gives up (${reason?.message ?? "no reason"})`, async () => {
      const abort = new AbortController();
      setTimeout(() => abort.abort(reason), 20);
      await assert.rejects(tracedFetch(new Request(`${url}/200/200`, { signal: abort.signal })));
      const span = await recording.one();
      assert.equal("error.type" in span.attributes, false);
      assert.equal(span.status.code, SpanStatusCode.UNSET);
      assert.equal(span.events.length, 0);
    });
  }

  it("covers redirects and names the URL asked for", async () => {
    assert.equal(await (await tracedFetch(`${url}/302`)).text(), "answer");
    const span = await recording.one();
    assert.equal(span.attributes["url.full"], `${url}/302`);
    assert.equal(span.attributes["http.response.status_code"], 200);
  });
});

describe("what is fetched", () => {
  const body = "the body";
  const forms: Record<string, () => Parameters<typeof fetch>> = {
    "a string and init": () => [url, { method: "post", body, headers: { "x-own": "1" } }],
    "a URL and headers as pairs": () => [new URL(url), {
      method: "POST",
      body,
      headers: [["x-own", "1"]],
    }],
    "a Request": () => [new Request(url, { method: "POST", body, headers: { "x-own": "1" } })],
    "a Request and init":
      () => [new Request(url, { method: "POST", body, headers: { gone: "1" } }), {
        headers: new Headers({ "x-own": "1" }),
      }],
    "a string and a Request": () => [
      url,
      // `init` may be anything with the right properties.
      new Request(url, { method: "POST", body, headers: { "x-own": "1" } }) as RequestInit,
    ],
  };

  for (const [form, make] of Object.entries(forms)) {
    it(`arrives the same, and is not changed: ${form}`, async () => {
      const args = make();
      await (await tracedFetch(...args)).text();
      const span = await recording.one();
      assert.equal(span.name, "POST");
      assert.equal(received.method, "POST");
      assert.equal(received.body, body);
      assert.equal(received.headers["x-own"], "1");
      assert.equal(received.headers.gone, undefined);
      assert.match(String(received.headers.traceparent), /^00-/);
      for (const arg of args) {
        if (arg instanceof Request) assert.equal(arg.headers.has("traceparent"), false);
        else if (typeof arg === "object" && "headers" in arg) {
          assert.equal(new Headers(arg.headers).has("traceparent"), false);
        }
      }
    });
  }

  it("may be something else than HTTP", async () => {
    assert.equal(await (await tracedFetch("data:text/plain,hello")).text(), "hello");
    assert.equal(recording.ended().length, 0);
  });

  it("may be wrong, and fails as ever", async () => {
    // deno-lint-ignore no-explicit-any
    for (const args of [["no url"], [url, { headers: { "a b": "c" } }], []] as any[]) {
      // deno-lint-ignore no-explicit-any
      const message = async (fetchOne: any): Promise<string> => {
        try {
          await fetchOne(...args);
        } catch (error) {
          return (error as Error).message;
        }
        return "no error";
      };
      const expected = await message(fetch);
      assert.notEqual(expected, "no error");
      assert.equal(await message(tracedFetch), expected);
    }
    assert.equal(recording.ended().length, 0);
  });
});

describe("no span", () => {
  it("and no headers for what is ignored", async () => {
    const seen: string[] = [];
    const ignoring = traceFetch(fetch, { ...recording, ignore: (asked) => !!seen.push(asked) });
    await (await ignoring(`${url}/200`)).text();
    assert.deepEqual(seen, [`${url}/200`]);
    assert.equal(received.headers.traceparent, undefined);
    assert.equal(recording.ended().length, 0);
  });

  it("and no headers while tracing is suppressed", async () => {
    const suppressed = suppressTracing(context.active());
    await (await context.with(suppressed, () => tracedFetch(url))).text();
    assert.equal(received.headers.traceparent, undefined);
    assert.equal(recording.ended().length, 0);
  });
});

describe("a traced fetch", () => {
  it("is not traced twice", () => {
    assert.equal(traceFetch(tracedFetch), tracedFetch);
  });

  it("has the properties of the one it wraps", () => {
    assert.equal(tracedFetch.name, fetch.name);
    assert.equal(tracedFetch.length, fetch.length);
    if (onBun) {
      assert.equal(
        typeof (tracedFetch as unknown as { preconnect: unknown }).preconnect,
        "function",
      );
    }
  });

  it("passes on what it does not know", async () => {
    let init: unknown;
    const other = ((_: unknown, given: unknown) => {
      init = given;
      return Promise.resolve(new Response("x"));
    }) as typeof fetch;
    const client = Symbol("client");
    await traceFetch(other, recording)(url, { client, verbose: true } as RequestInit);
    assert.equal((init as { client: unknown }).client, client);
    assert.equal((init as { verbose: unknown }).verbose, true);
    await recording.one();
  });
});

describe("instrumentFetch", () => {
  it("traces the global fetch until it is undone", async () => {
    const original = globalThis.fetch;
    const undo = instrumentFetch(recording);
    const kept = globalThis.fetch;
    try {
      assert.notEqual(kept, original);
      await (await fetch(url)).text();
      await recording.one();
      instrumentFetch(recording)(); // a second one changes nothing
      assert.equal(globalThis.fetch, kept);
      await (await fetch(url)).text();
      await recording.one();
    } finally {
      undo();
    }
    assert.equal(globalThis.fetch, original);
    await (await kept(url)).text();
    assert.equal(recording.ended().length, 0);
  });
});
