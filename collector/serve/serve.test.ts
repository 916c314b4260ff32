import assert from "node:assert/strict";
import { connect } from "node:net";
import { describe, it } from "node:test";
import { listenAddress, PLAIN, serve } from "./serve.ts";

describe("listenAddress", () => {
  it("takes a host and a port, or a port of this machine", () => {
    for (const text of ["13133", ":13133", "127.0.0.1:13133"]) {
      assert.deepEqual(listenAddress(text), { host: "127.0.0.1", port: 13133 });
    }
    assert.deepEqual(listenAddress("0.0.0.0:0"), { host: "0.0.0.0", port: 0 });
    assert.deepEqual(listenAddress("[::1]:1"), { host: "::1", port: 1 });
    assert.deepEqual(listenAddress("host.example:65535"), { host: "host.example", port: 65_535 });
  });

  it("refuses everything else", () => {
    for (
      const text of ["", "host", "host:", ":65536", "::1:5", "-1", "1.5", "http://h:1", "a b:1"]
    ) {
      assert.throws(() => listenAddress(text), /HOST:PORT/, text);
    }
  });
});

const address = { host: "127.0.0.1", port: 0 };
const routes = {
  "/a": (accept: string) => ({ status: 200, type: PLAIN, body: `é ${accept}` }),
  "/bad": () => {
    throw new Error("no figures");
  },
};

describe("serve", () => {
  it("answers GET and HEAD of its pages, and nothing else", async () => {
    const server = await serve({ address, source: "--x" }, routes);
    try {
      const got = await fetch(`${server.url}/a?b=c`, { headers: { accept: "text/x" } });
      assert.equal(await got.text(), "é text/x");
      assert.equal(got.headers.get("content-type"), PLAIN);
      const head = await fetch(`${server.url}/a`, { method: "HEAD", headers: { accept: "" } });
      assert.deepEqual([head.status, await head.text()], [200, ""]);
      for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
        const refused = await fetch(`${server.url}/a`, { method });
        assert.deepEqual([refused.status, refused.headers.get("allow")], [405, "GET, HEAD"]);
        await refused.text();
      }
      for (const path of ["/", "/b", "/a/", "/constructor"]) {
        const missing = await fetch(server.url + path);
        assert.equal(missing.status, 404, path);
        assert.match(await missing.text(), /there are \/a, \/bad/);
      }
      const failed = await fetch(`${server.url}/bad`);
      assert.deepEqual([failed.status, await failed.text()], [500, "no figures\n"]);
    } finally {
      server.close();
    }
  });

  it("says what is wrong with an address, and who asked for it", async () => {
    const server = await serve({ address, source: "--x" }, routes);
    const port = Number(new URL(server.url).port);
    await assert.rejects(serve({ address: { ...address, port }, source: "--y" }, routes), {
      message: `--y 127.0.0.1:${port}: another program listens there; ` +
        "choose another port, or 0 for one that is free",
    });
    server.close();
    await assert.rejects(
      serve({ address: { host: "192.0.2.1", port: 0 }, source: "--y" }, routes),
      /^Error: --y 192\.0\.2\.1:0: this machine has no such address/,
    );
  });

  it("closes connections that nobody closes", async () => {
    const server = await serve({ address, source: "--x" }, routes);
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
    await new Promise<void>((resolve) => socket.once("connect", resolve));
    // Half a request, so that it counts as under way.
    await new Promise<void>((resolve) => socket.write("GET /a HTTP/1.1\r\n", () => resolve()));
    await fetch(`${server.url}/a`).then((response) => response.text());
    const closed = new Promise((resolve) => socket.once("close", resolve).on("error", () => {}));
    socket.resume();
    server.close();
    await closed;
  });
});
