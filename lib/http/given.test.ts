/** Whatever they are given, and whatever is thrown, the wrappers throw nothing of their own. */
import assert from "node:assert/strict";
import type { IncomingMessage, ServerResponse } from "node:http";
import { describe, it } from "node:test";
import { diag, DiagLogLevel, ProxyTracerProvider, trace } from "@opentelemetry/api";
import { startTesting } from "../../testing.ts";
import {
  type FetchOptions,
  instrumentFetch,
  traceFetch,
  traceHandler,
  traceHono,
  traceListener,
} from "./mod.ts";
import { instrumentHttp } from "./patch.ts";

type Fetch = typeof fetch;
const answer = () => new Response("x", { headers: { a: "b" } });
const request = () => new Request("http://host/path", { headers: { accept: "c" } });
const incoming = { headers: {}, socket: {}, url: "/" } as IncomingMessage;
const outgoing = { once() {}, headersSent: false } as unknown as ServerResponse;

/** What a server of this runtime answers whose options are those of a class: the address it was given. */
async function served(): Promise<string> {
  class Options {
    readonly #hostname = "127.0.0.1";
    get hostname() {
      return this.#hostname;
    }
    get port() {
      return 0;
    }
    get development() {
      return false;
    }
    onListen() {}
    fetch(request: Request) {
      return new Response(new URL(request.url).hostname);
    }
    handler(request: Request) {
      return new Response(new URL(request.url).hostname);
    }
  }
  // deno-lint-ignore no-explicit-any
  const { Bun, Deno } = globalThis as any;
  const server = (Bun ?? Deno).serve(new Options());
  const { hostname, port } = server.addr ?? server;
  try {
    return await (await fetch(`http://${hostname}:${port}/`)).text();
  } finally {
    await (server.shutdown?.() ?? server.stop(true));
  }
}

/** What the API's diag logger was told while `body` ran. */
async function told(body: () => unknown): Promise<string[]> {
  const lines: string[] = [];
  const add = (...words: unknown[]) => void lines.push(words.join(" "));
  const logger = { error: add, warn: add, info() {}, debug() {}, verbose() {} };
  diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  try {
    await body();
  } finally {
    diag.disable();
  }
  return lines;
}

describe("HTTP wrappers", () => {
  it("say once which options they can't use, and go on without them", async () => {
    const cases: [options: unknown, said: RegExp | null][] = [
      [null, null],
      [5, null],
      [{ ignore: null, tracerProvider: null, captureRequestHeaders: null }, null],
      [{ captureRequestHeaders: "accept" }, null],
      [{ ignore: 5 }, /option ignore is none/],
      [{ tracerProvider: {} }, /option tracerProvider is none/],
      [{ meterProvider: {} }, /option meterProvider is none/],
      [{ captureResponseHeaders: {} }, /captureResponseHeaders: what is no text is not/],
      [
        { captureRequestHeaders: ["accept", null] },
        /captureRequestHeaders: what is no text is not/,
      ],
      [
        { captureRequestHeaders: ["no header", "accept"] },
        /"no header" is not the name of a header/,
      ],
    ];
    for (const [given, said] of cases) {
      const options = given as FetchOptions & { ignore?: never };
      const wrappers: Array<() => unknown> = [
        () => {
          const handler = traceHandler((_: Request) => answer(), options);
          for (let i = 0; i < 3; i++) handler(request());
        },
        async () => {
          const traced = traceFetch((() => Promise.resolve(answer())) as unknown as Fetch, options);
          for (let i = 0; i < 3; i++) await traced(request());
        },
        () => traceHono(options),
        () => {
          const listener = traceListener(() => {}, options);
          for (let i = 0; i < 3; i++) listener(incoming, outgoing);
        },
        () => instrumentFetch(options)(),
      ];
      await using telemetry = startTesting();
      for (const wrap of wrappers) {
        const lines = await told(wrap);
        assert.equal(lines.length, said === null ? 0 : 1, `${wrap}: ${lines.join("\n")}`);
        if (said !== null) assert.match(lines[0], said);
      }
      // Those of the listener go on.
      const spans = telemetry.spans();
      assert.equal(spans.length, 6);
      const header = spans[0].attributes["http.request.header.accept"];
      assert.deepEqual(header, /accept"/.test(JSON.stringify(given)) ? ["c"] : undefined);
    }
  });

  it("may be installed for all of HTTP after options that were none", async () => {
    const lines = await told(() => {
      for (let i = 0; i < 2; i++) instrumentHttp(null as never)();
      instrumentHttp({ ignoreIncoming: 5, ignoreOutgoing: {} } as never)();
    });
    assert.equal(lines.length, 2, lines.join("\n"));
    assert.match(lines[0], /option ignoreIncoming is none/);
    assert.match(lines[1], /option ignoreOutgoing is none/);
  });

  it("say once what all of HTTP can't use, and what servers are started later", async () => {
    for (
      const given of [
        { tracerProvider: {} },
        { meterProvider: 5 },
        { captureRequestHeaders: [null] },
        { captureResponseHeaders: "no header" },
      ]
    ) {
      const lines = await told(async () => {
        const undo = instrumentHttp(given as never);
        try {
          for (let i = 0; i < 2; i++) await served();
        } finally {
          undo();
        }
      });
      assert.equal(lines.length, 1, lines.join("\n"));
      assert.match(lines[0], new RegExp(Object.keys(given)[0]));
    }
  });

  it("keep options that are getters of a class, or inherited", async () => {
    class Post {
      readonly #method = "POST";
      get method() {
        return this.#method;
      }
      get headers() {
        return { a: "b" };
      }
    }
    class Inherits extends Post {}
    const inits = [new Post(), new Inherits(), Object.create({ method: "POST" })];
    for (const init of inits) {
      await using telemetry = startTesting();
      const received: (string | null)[] = [];
      const stand = (input: string, init: RequestInit) => {
        const { method, headers } = new Request(input, init);
        received.push(method, headers.get("a"), headers.get("traceparent")?.slice(0, 2) ?? null);
        return Promise.resolve(answer());
      };
      await traceFetch(stand as unknown as Fetch)("http://host/", init);
      assert.deepEqual(received, ["POST", init.headers === undefined ? null : "b", "00"]);
      assert.deepEqual(telemetry.spans().map(({ name }) => name), ["POST"]);
    }
  });

  it("keep those of servers, too", async () => {
    await using telemetry = startTesting();
    const undo = instrumentHttp();
    try {
      assert.equal(await served(), "127.0.0.1");
    } finally {
      undo();
    }
    // Bun says a little later that a response is sent.
    while (telemetry.spans().length < 2) await new Promise((wake) => setTimeout(wake, 1));
    assert.deepEqual(telemetry.spans().map(({ kind }) => kind).sort(), ["client", "server"]);
  });

  it("hand on what is thrown, whatever it is, and end their spans", async () => {
    const refuse = (): never => {
      throw new Error("not to be read");
    };
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    const thrown: unknown[] = [
      ...[proxy, new Proxy({}, { get: refuse, getPrototypeOf: refuse }), Symbol("s"), null],
      Object.defineProperty(new Error("e"), "message", { get: refuse }),
      { toString: refuse },
      Object.freeze(new Error("frozen")),
    ];
    const throws = async (body: () => unknown, expected: unknown): Promise<boolean> => {
      try {
        await body();
      } catch (error) {
        // Not by assert, and not as the result, which would read it.
        return error === expected;
      }
      return false;
    };
    for (const error of thrown) {
      const now = (): never => {
        throw error;
      };
      const later = (): Promise<never> => Promise.resolve().then(now);
      await using telemetry = startTesting();
      const lines = await told(async () => {
        for (const body of [now, later]) {
          const same = [
            () => traceHandler((_: Request) => body())(request()),
            () => traceFetch(body as unknown as Fetch)("http://host/"),
            () => traceListener(() => body())(incoming, outgoing),
          ];
          for (const wrapped of same) {
            assert.ok(await throws(wrapped, error), String(wrapped));
          }
        }
      });
      assert.deepEqual(lines, []);
      // All but that of the listener, which answers later.
      const spans = telemetry.spans();
      assert.equal(spans.length, 5);
      assert.ok(spans.every(({ status }) => status.code === "error"));
    }
  });

  it("name the schema of their spans to the global provider", () => {
    const seen: unknown[] = [];
    const own = new ProxyTracerProvider().getTracer("none");
    trace.setGlobalTracerProvider({
      getTracer: (name, _version, options) => {
        seen.push(name, options?.schemaUrl);
        return own;
      },
    });
    try {
      traceHandler((_: Request) => answer())(request());
    } finally {
      trace.disable();
    }
    assert.deepEqual(seen, ["otlp-mmap/http", "https://opentelemetry.io/schemas/1.45.0"]);
  });

  it("take a stand-in for fetch that answers without a promise", async () => {
    await using telemetry = startTesting();
    const response = answer();
    assert.equal(await traceFetch((() => response) as unknown as Fetch)("http://host/"), response);
    assert.equal(telemetry.spans().length, 1);
  });

  it("end the span of a stand-in for fetch that answers with no whole response", async () => {
    await using telemetry = startTesting();
    const answers: unknown[] = [undefined, null, "text", { ok: true }, { status: 500 }];
    await told(async () => {
      for (const [i, answer] of answers.entries()) {
        const standIn = (() => Promise.resolve(answer)) as unknown as Fetch;
        const traced = traceFetch(standIn, { captureResponseHeaders: ["a"] });
        assert.equal(await traced("http://host/"), answer);
        assert.equal(telemetry.spans().length, i + 1);
      }
    });
    assert.equal(telemetry.spans().at(-1)!.attributes["http.response.status_code"], 500);
  });
});
