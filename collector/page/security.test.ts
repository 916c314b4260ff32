/** Who may look at the page, and what it says to others; hostile telemetry, and clients that are slow. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { observe, type Observed } from "../../tests/support/collector.ts";
import { ownRuntime } from "../../tests/support/runtimes.ts";
import type { Log, Paged, Span, SpanSummary, StoreState } from "../store/queries/types.ts";
import { createGuard } from "./security.ts";
import { type Client, createClient, get } from "./testing/client.ts";

const root = mkdtempSync(join(tmpdir(), "otlp-mmap-page-security-"));
after(() => rmSync(root, { recursive: true }));

const SCRIPT = `<script>alert(1)</script><img src=x onerror=alert(2)>"'&`;
const CONTROL = "\u0000\u0001\u001b[31m\r\n\u2028\u202e\u0085é𝄞";
const LONG = "x".repeat(512 << 10);
/** A text that failures can show. */
const short = (text = ""): string => `${text.length} ${text.slice(0, 100)}`;
const HOSTILE = [SCRIPT, CONTROL, LONG, "__proto__", "constructor"];

describe("the page", () => {
  let started: Observed;
  let client: Client;
  let port: number;
  before(async () => {
    const files = join(root, "files");
    mkdirSync(files, { mode: 0o700 });
    const args = [
      "--ui-port",
      "0",
      "--otlp-receiver",
      "--otlp-http-port",
      "0",
      "--otlp-grpc-port",
      "0",
    ];
    started = observe(ownRuntime, "collector/main.ts", ["collect", files, ...args], {
      env: { XDG_STATE_HOME: join(root, "state") },
    });
    await started.wrote(/^page: (http:\S+)$/m);
    client = await createClient(/^page: (http:\S+)$/m.exec(started.text())![1]);
    port = Number(new URL(client.url).port);
    const receiver = /OTLP\/HTTP is received at (\S+)/.exec(started.text())![1];
    await send(receiver);
  });
  after(async () => {
    await started?.stop();
  });

  /** Spans and log records whose every text is one of these. */
  async function send(receiver: string): Promise<void> {
    const time = `${BigInt(Date.now()) * 1_000_000n}`;
    const attributes = (
      text: string,
    ) => [{ key: text.slice(0, 100), value: { stringValue: text } }];
    const resource = { attributes: [{ key: "service.name", value: { stringValue: SCRIPT } }] };
    const spans = HOSTILE.map((text, i) => ({
      traceId: `${i + 1}`.padStart(32, "0"),
      spanId: `${i + 1}`.padStart(16, "0"),
      name: text,
      kind: 2,
      startTimeUnixNano: time,
      endTimeUnixNano: time,
      attributes: attributes(text),
      events: [{ timeUnixNano: time, name: text, attributes: attributes(text) }],
      status: { code: 2, message: text },
    }));
    const logRecords = HOSTILE.map((text) => ({
      timeUnixNano: time,
      body: { stringValue: text },
      severityText: text,
      attributes: attributes(text),
    }));
    for (
      const [path, body] of [
        ["traces", { resourceSpans: [{ resource, scopeSpans: [{ spans }] }] }],
        ["logs", { resourceLogs: [{ resource, scopeLogs: [{ logRecords }] }] }],
      ] as const
    ) {
      const response = await fetch(`${receiver}/v1/${path}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      assert.equal(response.status, 200, await response.text());
    }
  }

  const bearer = () => ({ authorization: `Bearer ${client.token}` });
  const paths = ["/", "/assets/main.js", "/api/state", "/api/openapi.json", "/api/events", "/x"];

  it("answers nobody without the token, or with a wrong one", async () => {
    const wrong = `${client.token.slice(0, -1)}${client.token.endsWith("A") ? "B" : "A"}`;
    for (const path of paths) {
      for (
        const headers of [
          {},
          { authorization: `Bearer ${wrong}` },
          { authorization: `Basic ${client.token}` },
          { cookie: `otlp-mmap-${port}=${wrong}` },
          { cookie: `other=${client.token}; otlp-mmap-1=${client.token}` },
        ] as Record<string, string>[]
      ) {
        const { body, status } = await get(client.url, path, headers);
        assert.equal(status, 401, `${path} ${JSON.stringify(headers)}`);
        assert.match(body, /token is missing/);
      }
    }
    assert.equal((await get(client.url, `/?token=${wrong}`)).status, 401);
    assert.equal((await get(client.url, `/?token=`)).status, 401);
    // It is taken at the door only.
    assert.equal((await get(client.url, `/api/state?token=${client.token}`)).status, 401);
  });

  it("gives a cookie for the token, and the app for the cookie", async () => {
    const { headers, status } = await get(client.url, `/?token=${client.token}`);
    assert.deepEqual([status, headers.location], [303, "/"]);
    const [cookie] = headers["set-cookie"]!;
    assert.match(cookie, /^otlp-mmap-\d+=\S+; HttpOnly; SameSite=Strict; Path=\/$/);
    const home = await get(client.url, "/", { cookie: `a=b; ${cookie.split(";")[0]}` });
    assert.equal(home.status, 200);
    assert.equal(home.headers["content-type"], "text/html; charset=utf-8");
    assert.equal(home.headers["cache-control"], "no-store");
    assert(!home.body.includes(client.token));
    const assets = [...home.body.matchAll(/"(\/assets\/[^"]+)"/g)].map(([, path]) => path);
    assert(assets.length > 0, home.body);
    for (const path of assets) {
      const asset = await get(client.url, path, bearer());
      assert.equal(asset.status, 200, path);
      assert.match(asset.headers["cache-control"]!, /immutable/);
      assert.equal(asset.headers["x-content-type-options"], "nosniff");
    }
  });

  it("knows no foreign Host, Origin or site", async () => {
    const own = `127.0.0.1:${port}`;
    const foreign: Record<string, string>[] = [
      { host: "evil.example" },
      { host: `evil.example:${port}` },
      { host: `127.0.0.1.evil.example:${port}` },
      { host: `localhost.evil.example:${port}` },
      { host: "127.0.0.1" },
      { host: `127.0.0.1:${port + 1}` },
      { host: `127.0.0.2:${port}` },
      { host: own, origin: "http://evil.example" },
      { host: own, origin: `http://evil.example:${port}` },
      { host: own, origin: `https://${own}` },
      { host: own, origin: "null" },
      { host: own, origin: `http://localhost:${port}` },
      { host: own, "sec-fetch-site": "cross-site" },
      { host: own, "sec-fetch-site": "same-site" },
    ];
    for (const headers of foreign) {
      for (const path of [`/?token=${client.token}`, "/api/state"]) {
        const { status } = await get(client.url, path, { ...bearer(), ...headers });
        assert.equal(status, 403, `${path} ${JSON.stringify(headers)}`);
      }
    }
    for (
      const headers of [
        { host: `localhost:${port}` },
        { host: `LOCALHOST:${port}` },
        { host: `[::1]:${port}` },
        { host: own, origin: `http://${own}`, "sec-fetch-site": "same-origin" },
        { host: own, "sec-fetch-site": "none" },
      ] as Record<string, string>[]
    ) {
      const { status } = await get(client.url, "/api/state", { ...bearer(), ...headers });
      assert.equal(status, 200, JSON.stringify(headers));
    }
  });

  it("is only read", async () => {
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"]) {
      const { headers, status } = await get(client.url, "/api/state", bearer(), method);
      assert.deepEqual([status, headers.allow], [405, "GET, HEAD"], method);
    }
    const head = await get(client.url, "/api/state", bearer(), "HEAD");
    assert.deepEqual([head.status, head.body], [200, ""]);
    assert.equal((await get(client.url, "/api/events", bearer(), "HEAD")).status, 405);
  });

  it("has nothing but its own files", async () => {
    for (
      const path of [
        "/../../../etc/passwd",
        "/assets/../../package.json",
        "/assets/%2e%2e/%2e%2e/package.json",
        "/assets/..%2f..%2fpackage.json",
        "/assets//etc/passwd",
        "/assets/",
        "/constructor",
        "/__proto__",
        "/api",
        "/api/",
        "/api/spans/1/2",
        "/api/traces/..%2f..%2fstate",
        "/index.html",
        "http://evil.example/api/state",
      ]
    ) {
      const { status } = await get(client.url, path, bearer());
      assert(status === 404 || status === 400, `${path}: ${status}`);
    }
  });

  it("refuses addresses and headers that are too long", async () => {
    const long = await get(client.url, `/api/spans?name=${"a".repeat(9_000)}`, bearer());
    assert.equal(long.status, 414);
    const headers = { ...bearer(), "x-much": "a".repeat(200_000) };
    const refused = await get(client.url, "/api/state", headers).then(
      ({ status }) => status,
      () => "closed",
    );
    assert([431, "closed"].includes(refused), String(refused));
    assert.equal((await get(client.url, "/api/state", bearer())).status, 200);
  });

  it("sends hostile names and bodies as JSON that no browser takes for anything else", async () => {
    const spans = await client.ask<Paged<SpanSummary>>("spans");
    assert.deepEqual(spans.rows.map(({ name }) => short(name)).sort(), HOSTILE.map(short).sort());
    for (const { id, name, service } of spans.rows) {
      assert.equal(service, SCRIPT);
      const span = await client.ask<Span>("spans/{id}", `spans/${id}`);
      assert(HOSTILE.includes(name) && span.statusMessage === name && span.events[0].name === name);
      assert.deepEqual(
        span.attributes.map(({ key, value }) => [key, short(value.stringValue)]),
        [[name.slice(0, 100), short(name)]],
      );
    }
    const logs = await client.ask<Paged<Log>>("logs");
    assert.deepEqual(
      logs.rows.map(({ body }) => short(body.stringValue)).sort(),
      HOSTILE.map(short).sort(),
    );
    const service = encodeURIComponent(SCRIPT);
    const found = await client.ask<Paged<SpanSummary>>("spans", `spans?service=${service}&limit=1`);
    assert.equal(found.rows.length, 1);
    await client.ask("overview");
    await client.ask("traces");
    await client.ask(
      "traces/{traceId}/perfetto.json",
      `traces/${"3".padStart(32, "0")}/perfetto.json`,
    );
    await client.ask("traces/{traceId}/otlp.json", `traces/${"2".padStart(32, "0")}/otlp.json`);
    for (const path of ["/api/spans", "/api/spans?name=%3Cscript%3E&x=1", "/api/none", "/"]) {
      const { headers } = await get(client.url, path, bearer());
      assert.equal(headers["x-content-type-options"], "nosniff");
      assert.equal(headers["referrer-policy"], "no-referrer");
      assert.equal(headers["cache-control"], "no-store");
      assert.equal(
        headers["content-security-policy"],
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
          "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      );
      if (path !== "/") assert.equal(headers["content-type"], "application/json; charset=utf-8");
    }
  });

  it("compresses what is large where that is accepted", async () => {
    const response = await fetch(`${client.url}/api/spans`, { headers: bearer() });
    assert.equal(response.headers.get("vary"), "accept-encoding");
    assert.equal(((await response.json()) as Paged<SpanSummary>).rows.length, HOSTILE.length);
    const packed = await get(client.url, "/api/spans", { ...bearer(), "accept-encoding": "gzip" });
    assert.equal(packed.headers["content-encoding"], "gzip");
    assert(Number(packed.headers["content-length"]) < 1 << 20);
    for (const encoding of ["identity", "gzip;q=0", "br"]) {
      const plain = await get(client.url, "/api/spans", {
        ...bearer(),
        "accept-encoding": encoding,
      });
      assert.equal(plain.headers["content-encoding"], undefined);
    }
  });

  it("holds up nobody for clients of events that take nothing, and has not more than 16", async () => {
    const listeners: Socket[] = [];
    try {
      for (let i = 0; i < 16; i++) listeners.push(await listen());
      // Each waits for its first line, so all of them are in.
      assert.equal((await get(client.url, "/api/events", bearer())).status, 503);
      for (let i = 0; i < 5; i++) await client.ask<StoreState>("state");
      listeners.pop()!.destroy();
      for (const deadline = Date.now() + 20_000;;) {
        const socket = await listen().catch(() => null);
        if (socket !== null) {
          listeners.push(socket);
          break;
        }
        assert(Date.now() < deadline, "never let in again");
      }
    } finally {
      for (const socket of listeners) socket.destroy();
    }
  });

  /** Listens to events as far as its first line, and then takes nothing more. */
  function listen(): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, "127.0.0.1");
      socket.write(
        `GET /api/events HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n` +
          `Authorization: Bearer ${client.token}\r\n\r\n`,
      );
      let text = "";
      socket.on("error", reject);
      socket.on("data", (part: Uint8Array) => {
        text += new TextDecoder().decode(part);
        if (text.includes("retry:")) {
          socket.pause();
          resolve(socket);
        } else if (!text.startsWith("HTTP/1.1 200")) {
          socket.destroy();
          reject(new Error(text.slice(0, 100)));
        }
      });
    });
  }
});

describe("names of the page", () => {
  const isAllowed = (guard: ReturnType<typeof createGuard>, host: string) =>
    guard.whyForbidden({ host }) === undefined;

  it("are addresses where it is served at all of them, since DNS can make none of these", () => {
    const all = createGuard("0.0.0.0", 80, "t");
    assert(isAllowed(all, "192.0.2.1") && isAllowed(all, "192.0.2.1:80"));
    assert(!isAllowed(all, "rebound.example") && !isAllowed(all, "192.0.2.1:81"));
  });

  it("are the one that was given elsewhere", () => {
    const one = createGuard("192.0.2.1", 4319, "t");
    assert(isAllowed(one, "192.0.2.1:4319"));
    for (const host of ["192.0.2.2:4319", "localhost:4319", "127.0.0.1:4319", "", "[::1]:4319"]) {
      assert(!isAllowed(one, host), host);
    }
    const six = createGuard("2001:db8::1", 4319, "t");
    assert(isAllowed(six, "[2001:db8::1]:4319") && !isAllowed(six, "[2001:db8::2]:4319"));
  });
});
