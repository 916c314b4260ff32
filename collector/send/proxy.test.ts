import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import * as net from "node:net";
import { describe, it } from "node:test";
import { parseTarget } from "../options/endpoint.ts";
import { chooseProxy, isDirect, type Proxy } from "./proxy.ts";
import type { SenderOptions } from "./send.ts";
import { byWayOf, startProxy } from "../testing/proxy.ts";
import { until } from "../testing/run.ts";
import {
  BODY,
  complaint as complaintOf,
  startSender,
  type ToldSender,
} from "../testing/senders.ts";
import { freePort, type HttpBackend, listen, startHttpBackend } from "../testing/servers.ts";
import { CERTIFICATE, KEY } from "../testing/tls-fixture.ts";

function backend(secure: boolean): Promise<HttpBackend> {
  return startHttpBackend(undefined, secure ? { cert: CERTIFICATE, key: KEY } : undefined);
}

function sender(
  url: string,
  env: Record<string, string>,
  more: Partial<SenderOptions> = {},
): ToldSender {
  return startSender(url, byWayOf(url, env, more));
}

function complaint(
  url: string,
  env: Record<string, string>,
  more: Partial<SenderOptions> = {},
): Promise<string> {
  return complaintOf(url, byWayOf(url, env, more));
}

describe("a proxy", () => {
  it("gets plain requests with the whole URL, and its credentials", async () => {
    const { port, seen } = await backend(false);
    const proxy = await startProxy();
    const url = `http://localhost:${port}/v1/traces?a=b`;
    const one = sender(url, { HTTP_PROXY: `http://us%40er:hunter2@127.0.0.1:${proxy.port}` });
    for (let i = 0; i < 3; i++) assert.equal((await one.send(BODY, 1)).accepted, 1);
    assert.equal(proxy.seen.length, 3);
    assert.equal(proxy.seen[0].line, `POST ${url}`);
    assert.equal(proxy.seen[0].headers.host, `localhost:${port}`);
    const expected = `Basic ${Buffer.from("us@er:hunter2").toString("base64")}`;
    assert.equal(proxy.seen[0].headers["proxy-authorization"], expected);
    assert.deepEqual([seen[2].method, seen[2].url], ["POST", "/v1/traces?a=b"]);
    assert.deepEqual(one.lines, []);
  });

  it("makes connections for https, which are kept, and sees nothing of what goes through", async () => {
    const { port, seen } = await backend(true);
    const proxy = await startProxy();
    const env = { https_proxy: `user:hunter2@127.0.0.1:${proxy.port}`, HTTP_PROXY: "http://x:1" };
    const headers = [{ name: "authorization", value: "Bearer hunter3", source: "--header" }];
    const one = sender(`https://localhost:${port}/v1/traces`, env, { headers });
    for (let i = 0; i < 3; i++) assert.equal((await one.send(BODY, 1)).accepted, 1);
    assert.deepEqual(proxy.seen.map(({ line }) => line), [`CONNECT localhost:${port}`]);
    const [{ headers: shown }] = proxy.seen;
    assert.equal(shown.host, `localhost:${port}`);
    const expected = `Basic ${Buffer.from("user:hunter2").toString("base64")}`;
    assert.equal(shown["proxy-authorization"], expected);
    assert.equal(shown.authorization, undefined);
    assert.equal(seen.length, 3);
    assert.deepEqual([seen[0].method, seen[0].url], ["POST", "/v1/traces"]);
    assert.equal(seen[0].headers["proxy-authorization"], undefined);
    assert.equal(seen[0].headers.authorization, "Bearer hunter3");
    // Several at once, and nothing is left when the sender is closed.
    const many = await Promise.all([1, 2, 3, 4].map(() => one.send(BODY, 1)));
    assert.ok(many.every(({ accepted }) => accepted === 1));
    assert.deepEqual(one.lines, []);
    assert.ok(proxy.open() > 0);
    await one.close();
    await until("the proxy has no connection", () => proxy.open() === 0);
    assert.equal(proxy.open(), 0);
  });

  it("is named too when it closes the connection instead of making one", async () => {
    const { port } = await backend(true);
    for (const after of ["at once", "when asked"]) {
      const closing = await listen(net.createServer((socket) => {
        if (after === "at once") socket.end();
        else socket.once("data", () => socket.end());
        socket.resume();
      }));
      const env = { HTTPS_PROXY: `http://127.0.0.1:${closing}` };
      const said = await complaint(`https://localhost:${port}/`, env, { timeoutMs: 5000 });
      assert.match(said, /(closed|reset).*by the proxy http:.* \(from HTTPS_PROXY\); retrying$/);
    }
  });

  it("does not make a certificate count for another host", async () => {
    const { port } = await backend(true);
    const proxy = await startProxy();
    const env = { HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` };
    assert.match(
      await complaint(`https://127.0.0.1:${port}/`, env),
      /certificate is not made out for "127\.0\.0\.1"/,
    );
    const untrusted = await complaint(`https://localhost:${port}/`, env, { tls: () => ({}) });
    assert.match(untrusted, /signed by nobody trusted here/);
    assert.ok(proxy.seen.length >= 2);
  });

  it("is named when it is what fails, without its password, and nothing is lost", async () => {
    const free = await freePort();
    for (const scheme of ["http", "https"]) {
      const { port, seen } = await backend(scheme === "https");
      const url = `${scheme}://localhost:${port}/`;
      const through = (proxyPort: number): Record<string, string> => ({
        ALL_PROXY: `http://user:hunter2@127.0.0.1:${proxyPort}`,
      });
      const refused = await complaint(url, through(free));
      assert.match(refused, /nothing listens at 127\.0\.0\.1:\d+, the proxy of ALL_PROXY,/);
      const unknown = await complaint(url, { ALL_PROXY: "http://user:hunter2@nothing.invalid:1" });
      assert.match(unknown, /"nothing\.invalid" \(from ALL_PROXY\)/);
      const locked = await startProxy(407);
      const denied = await complaint(url, through(locked.port));
      assert.match(
        denied,
        /the proxy http:\/\/127\.0\.0\.1:\d+ \(from ALL_PROXY\) does not connect/,
      );
      assert.match(denied, /HTTP 407; check the user name and the password in ALL_PROXY; retrying/);
      const anonymous = { ALL_PROXY: `http://127.0.0.1:${locked.port}` };
      assert.match(await complaint(url, anonymous), /407; it wants a user name and a password/);
      const failing = await startProxy(503);
      assert.match(await complaint(url, through(failing.port)), /HTTP 503.*; retrying$/);
      const silent = await listen(net.createServer((socket) => void socket.resume()));
      assert.match(await complaint(url, through(silent), { timeoutMs: 60 }), /within 60 ms/);
      for (const said of [refused, unknown, denied]) assert.doesNotMatch(said, /hunter2|user:/);
      assert.equal(seen.length, 0);
    }
  });
});

describe("the variables of proxies", () => {
  const choose = (url: string, env: Record<string, string>): Proxy | undefined =>
    chooseProxy(parseTarget(url), env);

  it("are chosen by the scheme, lower case first, ALL_PROXY last", () => {
    const env = { HTTP_PROXY: "http://a", http_proxy: "b:1", ALL_PROXY: "http://u:p@[::1]:3" };
    assert.deepEqual(choose("http://h", env), {
      url: "http://b:1",
      source: "http_proxy",
      host: "b",
      port: 1,
    });
    assert.deepEqual(choose("https://h", env), {
      url: "http://[::1]:3",
      source: "ALL_PROXY",
      host: "::1",
      port: 3,
      authorization: `Basic ${Buffer.from("u:p").toString("base64")}`,
    });
    assert.equal(choose("http://h", { HTTPS_PROXY: "http://a" }), undefined);
    assert.equal(choose("http://h", { HTTP_PROXY: " " }), undefined);
    // As with curl, nothing is direct that is not said to be.
    assert.equal(choose("http://localhost", { HTTP_PROXY: "http://a" })?.host, "a");
    assert.equal(
      choose("http://localhost", { HTTP_PROXY: "http://a", no_proxy: "localhost", NO_PROXY: "x" }),
      undefined,
    );
  });

  it("are refused without being repeated", () => {
    for (const value of ["socks5://u:hunter2@h:1", "https://u:hunter2@h", "http://u:hunter2@h:x"]) {
      assert.throws(() => choose("http://h", { ALL_PROXY: value }), (error: Error) => {
        assert.match(error.message, /^ALL_PROXY /);
        return !error.message.includes("hunter2");
      });
    }
  });

  const cases: [list: string, host: string, port: number, direct: boolean][] = [
    ["", "a.b", 1, false],
    ["x, *", "a.b", 1, true],
    ["x.com,example.com", "www.Example.com.", 1, true],
    ["example.com", "example.com", 1, true],
    [".example.com", "example.com", 1, true],
    ["*.example.com", "www.example.com", 1, true],
    ["example.com", "notexample.com", 1, false],
    ["www.example.com", "example.com", 1, false],
    ["example.com:80", "example.com", 80, true],
    ["example.com:80", "example.com", 81, false],
    ["10.0.0.0/8", "10.3.4.5", 1, true],
    ["10.0.0.0/8", "11.3.4.5", 1, false],
    ["10.0.0.0/33", "10.0.0.0", 1, false],
    ["10.0.0.0/x", "10.0.0.0", 1, false],
    ["127.0.0.1:3", "127.0.0.1", 3, true],
    ["127.0.0.1:3", "127.0.0.1", 4, false],
    ["0.0.1", "127.0.0.1", 4, false],
    ["::1", "::1", 1, true],
    ["[::1]:80", "::1", 80, true],
    ["[::1]:80", "::1", 81, false],
    ["fe80::/10", "fe80::1", 1, true],
    ["10.0.0.0/8", "fe80::1", 1, false],
  ];
  it("say what is reached directly", () => {
    for (const [list, host, port, direct] of cases) {
      assert.equal(isDirect(list, host, port), direct, `"${list}" for ${host}:${port}`);
    }
  });
});
