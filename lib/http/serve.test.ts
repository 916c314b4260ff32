import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { trace } from "@opentelemetry/api";
import * as bun from "./bun.ts";
import * as deno from "./deno.ts";
import { installGlobals, onBun, record, removeGlobals, sleep } from "./testing/recording.ts";

before(installGlobals);
after(removeGlobals);

const recording = record();

// The types of one of the runtimes are always missing here.
// deno-lint-ignore no-explicit-any
type Any = any;

async function text(url: string | URL, init?: RequestInit): Promise<string> {
  return await (await fetch(url, init)).text();
}

async function names(count: number): Promise<string[]> {
  return (await recording.take(count)).map((span) => span.name).sort();
}

if (onBun) {
  describe("the serve that stands for Bun.serve", () => {
    const serve = bun.traceServe(recording) as Any;
    const common = { port: 0, hostname: "127.0.0.1", development: false };

    it("names spans after routes", async () => {
      const server = serve({
        ...common,
        routes: {
          "/users/:id": (request: Any) => new Response(request.params.id),
          "/posts": {
            GET: () => new Response("posts"),
            POST: async (request: Request) => new Response(await request.text()),
            PUT: new Response("static put"),
          },
          "/files/*": () => new Response("file"),
          "/static": new Response("static"),
          "/off": false,
        },
        fetch: () => new Response("fallback", { status: 404 }),
      });
      try {
        assert.equal(await text(`${server.url}users/7`), "7");
        assert.equal(await text(`${server.url}posts`), "posts");
        assert.equal(await text(`${server.url}posts`, { method: "POST", body: "new" }), "new");
        assert.equal(await text(`${server.url}files/a/b`), "file");
        assert.equal(await text(`${server.url}nowhere`), "fallback");
        assert.equal(await text(`${server.url}off`), "fallback");
        const spans = await recording.take(6);
        assert.deepEqual(spans.map((span) => [span.name, span.attributes["http.route"]]), [
          ["GET /users/:id", "/users/:id"],
          ["GET /posts", "/posts"],
          ["POST /posts", "/posts"],
          ["GET /files/*", "/files/*"],
          ["GET", undefined],
          ["GET", undefined],
        ]);
        // What Bun answers itself is left to it.
        assert.equal(await text(`${server.url}static`), "static");
        assert.equal(await text(`${server.url}posts`, { method: "PUT" }), "static put");
        await sleep(20);
        assert.equal(recording.ended().length, 0);
      } finally {
        await server.stop(true);
      }
    });

    it("keeps `this`, the server argument and the error handler", async () => {
      const seen: unknown[] = [];
      const server = serve({
        ...common,
        fetch(this: unknown, _: Request, given: unknown) {
          seen.push(this, given);
          throw new Error("x");
        },
        error(this: unknown) {
          seen.push(this);
          return new Response("handled", { status: 500 });
        },
      });
      try {
        assert.equal(await text(server.url), "handled");
        assert.equal(seen.length, 3);
        for (const each of seen) assert.equal(each, server);
        await recording.one();
      } finally {
        await server.stop(true);
      }
    });

    it("traces what reload brings", async () => {
      const server = serve({ ...common, fetch: () => new Response("one") });
      try {
        assert.equal(await text(server.url), "one");
        const again = server.reload({
          routes: { "/r/:x": () => new Response("two") },
          fetch: () => new Response("three"),
        });
        assert.equal(again, server);
        assert.equal(await text(`${server.url}r/1`), "two");
        assert.equal(await text(server.url), "three");
        assert.deepEqual(await names(3), ["GET", "GET", "GET /r/:x"]);
      } finally {
        await server.stop(true);
      }
    });

    it("keeps WebSocket handlers", async () => {
      const server = serve({
        ...common,
        routes: { "/ws": (request: Request, host: Any) => host.upgrade(request) && undefined },
        websocket: {
          message: (socket: Any, message: string) => socket.send(`echo ${message}`),
        },
      });
      try {
        const socket = new WebSocket(`ws://127.0.0.1:${server.port}/ws`);
        const echoed = new Promise((resolve, reject) => {
          socket.onopen = () => socket.send("hello");
          socket.onmessage = (event) => resolve(event.data);
          socket.onerror = reject;
        });
        assert.equal(await echoed, "echo hello");
        const span = await recording.one();
        assert.equal(span.name, "GET /ws");
        assert.equal(span.attributes["http.response.status_code"], 101);
        socket.close();
      } finally {
        await server.stop(true);
      }
    });

    it("calls a failed upgrade what the handler makes of it", async () => {
      const server = serve({
        ...common,
        fetch: (request: Request, host: Any) =>
          host.upgrade(request) ? undefined : new Response("no", { status: 426 }),
        websocket: { message: () => {} },
      });
      try {
        assert.equal(await text(server.url), "no");
        assert.equal((await recording.one()).attributes["http.response.status_code"], 426);
      } finally {
        await server.stop(true);
      }
    });

    it("sends files with their length", async () => {
      const { Bun } = globalThis as Any;
      const path = fileURLToPath(import.meta.url);
      const server = serve({ ...common, fetch: () => new Response(Bun.file(path)) });
      try {
        const response = await fetch(server.url);
        assert.equal(response.headers.get("content-length"), String(Bun.file(path).size));
        assert.equal(await response.text(), await Bun.file(path).text());
        await recording.one();
      } finally {
        await server.stop(true);
      }
    });

    it("may be left to Bun, which serves a default export", async () => {
      const { Bun } = globalThis as Any;
      const given = { ...common, fetch: () => new Response("x") };
      const server = Bun.serve(bun.traceServeOptions(given as Any, recording));
      try {
        assert.equal(await text(server.url), "x");
        await recording.one();
      } finally {
        await server.stop(true);
      }
    });
  });
} else {
  describe("the serve that stands for Deno.serve", () => {
    const serve = deno.traceServe(recording) as Any;
    const { Deno } = globalThis as Any;
    const common = { port: 0, hostname: "127.0.0.1", onListen: () => {} };
    const handler = (_: Request, info: Any) => new Response(info.remoteAddr.hostname);

    const overloads: Record<string, () => Any> = {
      "options and a handler": () => serve(common, handler),
      "options with a handler": () => serve({ ...common, handler }),
    };
    for (const [name, start] of Object.entries(overloads)) {
      it(`takes ${name}`, async () => {
        const server = start();
        try {
          assert.equal(await text(`http://127.0.0.1:${server.addr.port}`), "127.0.0.1");
          await recording.one();
        } finally {
          await server.shutdown();
        }
      });
    }

    it("takes a handler alone", async () => {
      const original = Deno.serve;
      let called: unknown[] = [];
      Deno.serve = (...args: unknown[]) => called = args;
      try {
        serve(handler);
      } finally {
        Deno.serve = original;
      }
      assert.deepEqual(called[0], {});
      assert.equal(typeof called[1], "function");
    });

    it("leaves wrong arguments to Deno", () => {
      for (const args of [[], [{}], [{ port: 0 }, "no handler"], [{ handler: 1 }]]) {
        const messages = [Deno.serve, serve].map((each) => {
          try {
            each(...args);
          } catch (error) {
            return (error as Error).message;
          }
        });
        assert.notEqual(messages[0], undefined);
        assert.equal(messages[1], messages[0]);
      }
    });

    it("serves unix sockets", async () => {
      const folder = await Deno.makeTempDir();
      const path = `${folder}/socket`;
      const server = serve({ path, onListen: () => {} }, () => new Response("x"));
      const client = Deno.createHttpClient({ proxy: { transport: "unix", path } });
      try {
        const response = await fetch("http://somewhere/a", { client } as RequestInit);
        assert.equal(await response.text(), "x");
        const span = await recording.one();
        assert.equal(span.attributes["url.path"], "/a");
        assert.equal(span.attributes["server.address"], "somewhere");
      } finally {
        client.close();
        await server.shutdown();
        await Deno.remove(folder, { recursive: true });
      }
    });

    it("does not make Deno warn of request.signal", async () => {
      const { warn } = console;
      const warnings: unknown[] = [];
      console.warn = (...args: unknown[]) => warnings.push(args);
      const server = serve(common, async () => {
        await sleep(1);
        return new Response(new Blob(["x"]).stream());
      });
      try {
        assert.equal(await text(`http://127.0.0.1:${server.addr.port}`), "x");
        await recording.one();
        assert.deepEqual(warnings, []);
      } finally {
        console.warn = warn;
        await server.shutdown();
      }
    });

    it("is traced with the handler of a default export, too", async () => {
      const { traceHandler } = await import("./server.ts");
      let active = false;
      const server = Deno.serve(
        common,
        traceHandler((_: Request, _info: unknown) => {
          active = trace.getActiveSpan() !== undefined;
          return new Response("x");
        }, recording),
      );
      try {
        assert.equal(await text(`http://127.0.0.1:${server.addr.port}`), "x");
        assert.equal(active, true);
        await recording.one();
      } finally {
        await server.shutdown();
      }
    });
  });
}
