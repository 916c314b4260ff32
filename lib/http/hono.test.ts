import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { traceHono } from "./hono.ts";
import { installGlobals, listen, record, removeGlobals } from "./testing/recording.ts";

before(installGlobals);
after(removeGlobals);

const recording = record();

function makeApp(): Hono {
  const inner = new Hono();
  inner.get("/posts/:post{[0-9]+}", (c) => c.text(c.req.param("post")));
  inner.onError((_, c) => c.text("from the inner app", 500));
  inner.get("/fail", () => {
    throw new RangeError("inner");
  });
  const middle = new Hono().basePath("/v1");
  middle.route("/blogs/:blog", inner);
  middle.all("/any", (c) => c.text("any"));

  const app = new Hono();
  app.use(traceHono(recording));
  app.use("/private/*", async (c, next) => {
    if (!c.req.header("authorization")) return c.text("who are you?", 401);
    await next();
  });
  app.get("/private/:name", (c) => c.text(c.req.param("name")));
  app.get("/users/:id", (c) => c.text(c.req.param("id")));
  app.get("/fail", () => {
    throw new RangeError("none left");
  });
  app.get("/denied", () => {
    throw new HTTPException(403, { message: "no" });
  });
  app.use("/static/*", (c) => Promise.resolve(c.text("a file")));
  app.route("/api", middle);
  app.get("/files/*", async (_, next) => {
    await next();
  });
  app.get("/files/:name", (c) => c.text("file"));
  return app;
}

const cases = [
  ["/users/7", 200, "/users/:id"],
  ["/api/v1/blogs/b/posts/5", 200, "/api/v1/blogs/:blog/posts/:post{[0-9]+}"],
  ["/api/v1/any", 200, "/api/v1/any"],
  ["/private/x", 401, "/private/:name"],
  ["/static/a.css", 200, "/static/*"],
  ["/files/a", 200, "/files/:name"],
  ["/nowhere", 404, undefined],
  ["/private", 401, "/private/*"],
] as const;

for (const outer of [true, false]) {
  describe(`a Hono app ${outer ? "in a traced server" : "that makes its own spans"}`, () => {
    // A server that ignores all requests stands for one that is not traced.
    const options = { ...recording, ignore: () => !outer };

    async function ask(path: string): Promise<Response> {
      const app = makeApp();
      const server = listen((request, host) => app.fetch(request, host), options);
      try {
        const response = await fetch(server.url + path);
        await response.clone().text();
        return response;
      } finally {
        await server.stop();
      }
    }

    for (const [path, status, route] of cases) {
      it(`names the route of ${path}: ${route}`, async () => {
        assert.equal((await ask(path)).status, status);
        const span = await recording.one();
        assert.equal(span.kind, SpanKind.SERVER);
        assert.equal(span.attributes["http.route"], route);
        assert.equal(span.name, route === undefined ? "GET" : `GET ${route}`);
        assert.equal(span.attributes["url.path"], path);
        assert.equal(span.attributes["http.response.status_code"], status);
        assert.equal(span.attributes["client.address"], "127.0.0.1");
        assert.equal(span.status.code, SpanStatusCode.UNSET);
      });
    }

    for (
      const [path, message, route] of [
        ["/fail", "none left", "/fail"],
        ["/api/v1/blogs/b/fail", "inner", "/api/v1/blogs/:blog/fail"],
      ]
    ) {
      it(`records the error of ${path}`, async () => {
        const { error } = console;
        console.error = () => {}; // Hono reports the error there
        try {
          assert.equal((await ask(path)).status, 500);
        } finally {
          console.error = error;
        }
        const span = await recording.one();
        assert.equal(span.name, `GET ${route}`);
        assert.equal(span.attributes["error.type"], "RangeError");
        assert.equal(span.attributes["http.response.status_code"], 500);
        assert.deepEqual(span.status, { code: SpanStatusCode.ERROR, message });
        assert.equal(span.events.length, 1);
      });
    }

    it("does not call a refusal an error", async () => {
      assert.equal((await ask("/denied")).status, 403);
      const span = await recording.one();
      assert.equal(span.status.code, SpanStatusCode.UNSET);
      assert.equal(span.events.length, 0);
      assert.equal("error.type" in span.attributes, false);
    });
  });
}

describe("a Hono app without a server", () => {
  it("has its span active in the handler, named before it runs", async () => {
    const app = new Hono();
    app.use(traceHono(recording));
    let name: string | undefined;
    app.get("/a/:b", (c) => {
      name = (trace.getActiveSpan() as unknown as { name: string }).name;
      return c.text("x");
    });
    assert.equal(await (await app.request("/a/1")).text(), "x");
    assert.equal(name, "GET /a/:b");
    assert.equal((await recording.one()).name, "GET /a/:b");
  });
});
