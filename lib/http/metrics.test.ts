import assert from "node:assert/strict";
import {
  createServer,
  type IncomingMessage,
  request as httpRequest,
  type ServerResponse,
} from "node:http";
import { type AddressInfo, connect } from "node:net";
import { after, afterEach, before, describe, it } from "node:test";
import {
  context,
  diag,
  DiagLogLevel,
  type MeterProvider,
  metrics,
  trace,
} from "@opentelemetry/api";
import { suppressTracing } from "@opentelemetry/core";
import { AlwaysOffSampler, TracerProvider } from "@opentelemetry/sdk-trace";
import { Hono } from "hono";
import { type FetchOptions, traceFetch } from "./fetch.ts";
import { traceHono } from "./hono.ts";
import { traceListener } from "./node.ts";
import { type ServerOptions, traceHandler } from "./server.ts";
import { type Call, meter, type Metering, spy } from "./testing/metering.ts";
import {
  type Handler,
  installGlobals,
  listen,
  onBun,
  record,
  removeGlobals,
  sleep,
} from "./testing/recording.ts";

before(installGlobals);
after(removeGlobals);
afterEach(() => metrics.disable());

const SERVER = "http.server.request.duration";
const ACTIVE = "http.server.active_requests";
const CLIENT = "http.client.request.duration";
const BOUNDARIES = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

const recording = record();
const { tracerProvider } = recording;

/** Serves with `handler` while `test` runs. */
async function withServer(
  handler: Handler,
  test: (url: string, measured: Metering, port: number) => Promise<void>,
  options: ServerOptions = {},
  onError?: (error: unknown) => Response | Promise<Response>,
): Promise<void> {
  const measured = meter();
  const { meterProvider } = measured;
  const server = listen(handler, { tracerProvider, meterProvider, ...options }, onError);
  try {
    await test(server.url, measured, server.port);
  } finally {
    await server.stop();
  }
}

async function get(url: string, init?: RequestInit): Promise<number> {
  const response = await fetch(url, init);
  await response.text();
  return response.status;
}

/** Checks that one request was measured, as its span was. */
async function one(measured: Metering, attributes: Record<string, string | number>): Promise<void> {
  const span = await recording.one();
  const [point, ...others] = await measured.points(SERVER);
  assert.deepEqual(others, []);
  assert.deepEqual(point.attributes, attributes);
  assert.equal(point.value, 1);
  const [seconds, nanoseconds] = span.duration;
  // The two clocks are read one after the other, and garbage may be collected in between.
  assert.ok(Math.abs(point.sum! - seconds - nanoseconds / 1e9) < 0.05, `${point.sum} s`);
}

describe("the metrics of a server", () => {
  it("are those of the conventions", async () => {
    await withServer(() => new Response("hello"), async (url, measured) => {
      await get(`${url}/items/1?q=2`);
      await recording.one();
      const found = await measured.collect();
      assert.deepEqual(Object.keys(found).sort(), [ACTIVE, SERVER]);
      const { name, unit, description } = found[SERVER].descriptor;
      assert.deepEqual({ name, unit, description }, {
        name: SERVER,
        unit: "s",
        description: "Duration of HTTP server requests.",
      });
      assert.equal(found[ACTIVE].descriptor.unit, "{request}");
      assert.equal(found[ACTIVE].descriptor.description, "Number of active HTTP server requests.");
      const [point] = found[SERVER].dataPoints;
      assert.deepEqual(
        (point.value as { buckets: { boundaries: number[] } }).buckets.boundaries,
        BOUNDARIES,
      );
      assert.deepEqual(point.attributes, {
        "http.request.method": "GET",
        "url.scheme": "http",
        "http.response.status_code": 200,
      });
      assert.deepEqual(found[ACTIVE].dataPoints.map(({ attributes }) => attributes), [
        { "http.request.method": "GET", "url.scheme": "http" },
      ]);
    });
  });

  it("count the requests being served", async () => {
    let seen: unknown;
    const measured = meter();
    await withServer(
      async () => {
        seen = await measured.points(ACTIVE);
        return new Response("x");
      },
      async (url) => {
        const attributes = { "http.request.method": "GET", "url.scheme": "http" };
        await get(url);
        await recording.one();
        assert.deepEqual(seen, [{ attributes, value: 1, sum: undefined }]);
        assert.deepEqual(await measured.points(ACTIVE), [{ attributes, value: 0, sum: undefined }]);
      },
      { meterProvider: measured.meterProvider },
    );
  });

  it("last as long as the response is streamed", async () => {
    const stream = () =>
      new ReadableStream({
        async start(controller) {
          controller.enqueue(new TextEncoder().encode("a"));
          await sleep(300);
          controller.enqueue(new TextEncoder().encode("b"));
          controller.close();
        },
      });
    await withServer(() => new Response(stream()), async (url, measured) => {
      await get(url);
      await recording.take(1);
      const [point] = await measured.points(SERVER);
      assert.equal(point.value, 1);
      assert.ok(point.sum! >= 0.25, `${point.sum} s`);
    });
  });

  it("say of a response that nobody waited for what the span says", async () => {
    const endless = () =>
      new ReadableStream({
        async pull(controller) {
          controller.enqueue(new Uint8Array(1000));
          await sleep(5);
        },
      });
    await withServer(() => new Response(endless()), async (url, measured) => {
      const controller = new AbortController();
      const response = await fetch(url, { signal: controller.signal });
      await response.body!.getReader().read();
      await sleep(30);
      controller.abort();
      const span = await recording.one();
      const [point] = await measured.points(SERVER);
      // Deno 2.9 does not tell.
      if (onBun) assert.equal(span.attributes["error.type"], "aborted");
      assert.equal(point.attributes["error.type"], span.attributes["error.type"]);
      assert.equal(point.attributes["http.response.status_code"], 200);
      assert.equal((await measured.points(ACTIVE))[0].value, 0);
    });
  });

  it("say what failed, by status code", async () => {
    await withServer(() => new Response("", { status: 503 }), async (url, measured) => {
      await get(url);
      await one(measured, {
        "http.request.method": "GET",
        "url.scheme": "http",
        "http.response.status_code": 503,
        "error.type": "503",
      });
    });
  });

  it("do not call a refusal an error", async () => {
    await withServer(() => new Response("", { status: 404 }), async (url, measured) => {
      await get(url, { method: "DELETE" });
      await one(measured, {
        "http.request.method": "DELETE",
        "url.scheme": "http",
        "http.response.status_code": 404,
      });
    });
  });

  it("say what failed, by what was thrown", async () => {
    await withServer(
      () => {
        throw new RangeError("too far");
      },
      async (url, measured) => {
        assert.equal(await get(url), 502);
        await one(measured, {
          "http.request.method": "GET",
          "url.scheme": "http",
          "http.response.status_code": 502,
          "error.type": "RangeError",
        });
      },
      {},
      () => new Response("", { status: 502 }),
    );
  });

  it("know only the methods that exist", async () => {
    await withServer(() => new Response("x"), async (url, measured, port) => {
      await new Promise<void>((resolve, reject) => {
        const socket = connect(port, "127.0.0.1", () => {
          // A method that a server accepts, but that is not in the list.
          socket.write(`PROPFIND / HTTP/1.1\r\nhost: ${url.slice(7)}\r\nconnection: close\r\n\r\n`);
        });
        socket.on("data", () => {}).on("close", () => resolve()).on("error", reject);
      });
      await one(measured, {
        "http.request.method": "_OTHER",
        "url.scheme": "http",
        "http.response.status_code": 200,
      });
    });
  });

  it("believe a proxy about the scheme, but not anything", async () => {
    await withServer(() => new Response("x"), async (url, measured) => {
      for (const forwarded of ["proto=https", "proto=made-up"]) {
        await get(url, { headers: { forwarded } });
      }
      await recording.take(2);
      const schemes = (await measured.points(SERVER)).map((p) => p.attributes["url.scheme"]);
      assert.deepEqual(schemes, ["https", "http"]);
    });
  });

  it("are recorded where spans are not sampled", async () => {
    const tracerProvider = new TracerProvider({ sampler: new AlwaysOffSampler() });
    const measured = meter();
    const { meterProvider } = measured;
    const handler = traceHandler(
      async () => {
        await sleep(2);
        return new Response("x");
      },
      { tracerProvider, meterProvider },
    );
    await handler(new Request("http://h/"));
    const [point] = await measured.points(SERVER);
    assert.equal(point.attributes["http.response.status_code"], 200);
    assert.equal((await measured.points(ACTIVE))[0].value, 0);
  });

  it("are not recorded for requests that are ignored, suppressed or seen already", async () => {
    const measured = meter();
    const options = { tracerProvider, meterProvider: measured.meterProvider };
    const answer = () => new Response("x");
    const request = new Request("http://h/");
    traceHandler(answer, { ...options, ignore: () => true })(request);
    context.with(suppressTracing(context.active()), () => traceHandler(answer, options)(request));
    assert.deepEqual(await measured.points(SERVER), []);
    const inner = traceHandler(answer, options);
    traceHandler((request: Request) => inner(request), options)(request);
    await recording.one();
    assert.equal((await measured.points(SERVER))[0].value, 1);
  });

  it("are recorded with the span of the request, for exemplars", async () => {
    const calls: Call[] = [];
    const meterProvider = spy(calls);
    traceHandler(() => new Response("x"), { tracerProvider, meterProvider })(
      new Request("http://h/"),
    );
    const { spanId } = (await recording.one()).spanContext();
    assert.deepEqual(
      calls.map((call) => [call.instrument, trace.getSpanContext(call.context!)?.spanId]),
      [[ACTIVE, spanId], [ACTIVE, spanId], [SERVER, spanId]],
    );
    assert.deepEqual(calls.map((call) => call.value).slice(0, 2), [1, -1]);
    assert.deepEqual(calls[0].attributes, calls[1].attributes);
  });

  it("name the route", async () => {
    const measured = meter();
    const options = { tracerProvider, meterProvider: measured.meterProvider };
    const app = new Hono();
    app.use(traceHono(options));
    app.get("/users/:id", (c) => c.text(c.req.param("id")));
    app.get("/fail", () => {
      throw new TypeError("no");
    });
    app.onError((_, c) => c.text("failed", 500));
    await app.request("/users/7");
    await app.request("/fail");
    await app.request("/nowhere");
    await recording.take(3);
    const common = { "http.request.method": "GET", "url.scheme": "http" };
    assert.deepEqual((await measured.points(SERVER)).map(({ attributes }) => attributes), [
      { ...common, "http.route": "/users/:id", "http.response.status_code": 200 },
      {
        ...common,
        "http.route": "/fail",
        "http.response.status_code": 500,
        "error.type": "TypeError",
      },
      { ...common, "http.response.status_code": 404 },
    ]);
  });

  // Deno.serve has no routes.
  onBun && it("name the route of Bun's", async () => {
    const { traceServe } = await import("./bun.ts");
    const measured = meter();
    // deno-lint-ignore no-explicit-any
    const serve = traceServe({ tracerProvider, meterProvider: measured.meterProvider }) as any;
    const server = serve({ port: 0, routes: { "/users/:id": () => new Response("x") } });
    try {
      await get(`${server.url}users/7`);
      await recording.one();
      assert.equal((await measured.points(SERVER))[0].attributes["http.route"], "/users/:id");
    } finally {
      await server.stop(true);
    }
  });
});

describe("the metrics of a listener of node:http", () => {
  async function withListener(
    listener: (request: IncomingMessage, response: ServerResponse) => unknown,
    test: (port: number, measured: Metering) => Promise<void>,
  ): Promise<void> {
    const measured = meter();
    const { meterProvider } = measured;
    const server = createServer(traceListener(listener, { tracerProvider, meterProvider }));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      await test((server.address() as AddressInfo).port, measured);
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  it("know the version of the protocol", async () => {
    await withListener((_, response) => response.end("x"), async (port, measured) => {
      await get(`http://127.0.0.1:${port}/`);
      await one(measured, {
        "http.request.method": "GET",
        "url.scheme": "http",
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
      });
      assert.equal((await measured.points(ACTIVE))[0].value, 0);
    });
  });

  it("have no status code where no response was sent", async () => {
    let received: () => void;
    const request = new Promise<void>((resolve) => received = resolve);
    await withListener(() => received(), async (port, measured) => {
      const client = httpRequest({ port, host: "127.0.0.1" }).on("error", () => {});
      client.end();
      await request;
      client.destroy();
      await one(measured, {
        "http.request.method": "GET",
        "url.scheme": "http",
        "error.type": "aborted",
        "network.protocol.version": "1.1",
      });
      assert.equal((await measured.points(ACTIVE))[0].value, 0);
    });
  });
});

describe("the metrics of a fetch", () => {
  function client(answer: typeof fetch, options: FetchOptions = {}): [typeof fetch, Metering] {
    const measured = meter();
    const { meterProvider } = measured;
    return [traceFetch(answer, { tracerProvider, meterProvider, ...options }), measured];
  }

  const respond = (status: number) =>
    (() => Promise.resolve(new Response("x", { status }))) as unknown as typeof fetch;

  it("are those of the conventions", async () => {
    const [fetch, measured] = client(respond(200));
    await fetch("https://example.com/a?b=1");
    await fetch("http://[::1]:8080/", { method: "post" });
    await recording.take(2);
    const found = await measured.collect();
    assert.deepEqual(Object.keys(found), [CLIENT]);
    assert.equal(found[CLIENT].descriptor.unit, "s");
    assert.equal(found[CLIENT].descriptor.description, "Duration of HTTP client requests.");
    const points = found[CLIENT].dataPoints;
    assert.deepEqual(
      (points[0].value as { buckets: { boundaries: number[] } }).buckets.boundaries,
      BOUNDARIES,
    );
    assert.deepEqual(points.map(({ attributes }) => attributes), [
      {
        "http.request.method": "GET",
        "server.address": "example.com",
        "server.port": 443,
        "http.response.status_code": 200,
      },
      {
        "http.request.method": "POST",
        "server.address": "::1",
        "server.port": 8080,
        "http.response.status_code": 200,
      },
    ]);
  });

  it("say what failed", async () => {
    const [refused, byStatus] = client(respond(404));
    await refused("http://h/");
    await recording.one();
    assert.deepEqual((await byStatus.points(CLIENT))[0].attributes, {
      "http.request.method": "GET",
      "server.address": "h",
      "server.port": 80,
      "http.response.status_code": 404,
      "error.type": "404",
    });
    const error = Object.assign(new Error("no"), { code: "ECONNREFUSED" });
    const [failing, byError] = client((() => Promise.reject(error)) as unknown as typeof fetch);
    await assert.rejects(failing("http://h/"), error);
    await recording.one();
    assert.deepEqual((await byError.points(CLIENT))[0].attributes, {
      "http.request.method": "GET",
      "server.address": "h",
      "server.port": 80,
      "error.type": "ECONNREFUSED",
    });
  });

  it("do not call it an error when the caller gives up", async () => {
    const pending = ((_: string, init: RequestInit) =>
      new Promise((_, reject) => {
        init.signal!.addEventListener("abort", () => reject(init.signal!.reason));
      })) as unknown as typeof fetch;
    const [fetch, measured] = client(pending);
    const controller = new AbortController();
    const answer = fetch("http://h/", { signal: controller.signal });
    controller.abort();
    await assert.rejects(answer);
    await recording.one();
    assert.deepEqual((await measured.points(CLIENT))[0].attributes, {
      "http.request.method": "GET",
      "server.address": "h",
      "server.port": 80,
    });
  });

  it("are recorded with the span of the request, and not for what is ignored", async () => {
    const calls: Call[] = [];
    const fetch = traceFetch(respond(200), {
      tracerProvider,
      meterProvider: spy(calls),
      ignore: (url) => url.endsWith("/ignored"),
    });
    await fetch("http://h/ignored");
    await fetch("http://h/");
    const { spanId } = (await recording.one()).spanContext();
    assert.deepEqual(
      calls.map((call) => [call.instrument, trace.getSpanContext(call.context!)?.spanId]),
      [[CLIENT, spanId]],
    );
  });
});

describe("a wrapper made before an SDK is there", () => {
  it("records with the provider that is the global one at each request", async () => {
    const handler = traceHandler(() => new Response("x"), { tracerProvider });
    const client = traceFetch(
      (() => Promise.resolve(new Response("x"))) as unknown as typeof fetch,
      {
        tracerProvider,
      },
    );
    const [first, second] = [meter(), meter()];
    const requests = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) {
        await handler(new Request("http://h/"));
        await client("http://h/");
      }
      await recording.take(2 * count);
    };
    const counts = async (measured: Metering): Promise<(number | undefined)[]> => [
      (await measured.points(SERVER))[0]?.value,
      (await measured.points(CLIENT))[0]?.value,
    ];
    await requests(1);
    metrics.setGlobalMeterProvider(first.meterProvider);
    await requests(2);
    metrics.disable();
    await requests(1);
    metrics.setGlobalMeterProvider(second.meterProvider);
    await requests(3);
    assert.deepEqual(await counts(first), [2, 2]);
    assert.deepEqual(await counts(second), [3, 3]);
  });

  it("counts a request out where it was counted in", async () => {
    const [first, second] = [meter(), meter()];
    let answer: (response: Response) => void;
    const handler = traceHandler(
      () => new Promise<Response>((resolve) => answer = resolve),
      { tracerProvider },
    );
    metrics.setGlobalMeterProvider(first.meterProvider);
    const response = handler(new Request("http://h/"));
    metrics.disable();
    metrics.setGlobalMeterProvider(second.meterProvider);
    answer!(new Response("x"));
    await response;
    await recording.one();
    assert.equal((await first.points(ACTIVE))[0].value, 0);
    assert.deepEqual(await second.points(ACTIVE), []);
  });
});

describe("metrics that fail", () => {
  const fail = () => {
    throw new Error("in an instrument");
  };
  const providers: Record<string, unknown> = {
    "in the provider": { getMeter: fail },
    "in an instrument": {
      getMeter: () => ({
        createHistogram: () => ({ record: fail }),
        createUpDownCounter: () => ({ add: fail }),
      }),
    },
    "at the end": {
      getMeter: () => ({
        createHistogram: () => ({ record: fail }),
        createUpDownCounter: () => ({ add: () => {} }),
      }),
    },
  };
  for (const [where, provider] of Object.entries(providers)) {
    it(`${where} cost neither request nor span`, async () => {
      const errors: unknown[] = [];
      const nothing = () => {};
      diag.setLogger({
        error: (...args) => errors.push(args),
        warn: nothing,
        info: nothing,
        debug: nothing,
        verbose: nothing,
      }, DiagLogLevel.ERROR);
      try {
        const meterProvider = provider as MeterProvider;
        await withServer(() => new Response("fine"), async (url) => {
          const client = traceFetch(fetch, { tracerProvider, meterProvider });
          assert.equal(await (await client(url)).text(), "fine");
          await recording.take(2);
        }, { meterProvider });
        assert.notEqual(errors.length, 0);
      } finally {
        diag.disable();
      }
    });
  }
});
