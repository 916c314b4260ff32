import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import * as net from "node:net";
import process from "node:process";
import { describe, it } from "node:test";
import type { SenderOptions } from "./send.ts";
import { type GrpcBackend, startGrpcBackend } from "../testing/grpc-backend.ts";
import { byWayOf, startProxy } from "../testing/proxy.ts";
import { until } from "../testing/run.ts";
import {
  BODY,
  complaint as complaintOf,
  startSender,
  type ToldSender,
} from "../testing/senders.ts";
import { cleanups, freePort, listen } from "../testing/servers.ts";

async function backend(scheme: string): Promise<GrpcBackend> {
  const started = await startGrpcBackend(undefined, scheme === "https" ? { tls: "server" } : {});
  cleanups.push(started.stop);
  return started;
}

function sender(
  url: string,
  env: Record<string, string>,
  more: Partial<SenderOptions> = {},
): ToldSender {
  return startSender(url, byWayOf(url, env, { signal: "logs", protocol: "grpc", ...more }));
}

function complaint(
  url: string,
  env: Record<string, string>,
  more: Partial<SenderOptions> = {},
): Promise<string> {
  return complaintOf(url, byWayOf(url, env, { signal: "logs", protocol: "grpc", ...more }));
}

describe("gRPC through a proxy", () => {
  for (const scheme of ["http", "https"]) {
    it(`has it make connections for ${scheme}, which are kept`, async () => {
      const { port, calls, requests } = await backend(scheme);
      const proxy = await startProxy();
      const env = { [`${scheme}_proxy`]: `user:hunter2@localhost:${proxy.port}` };
      const one = sender(`${scheme}://localhost:${port}`, env);
      for (let i = 0; i < 3; i++) assert.equal((await one.send(BODY, 1)).accepted, 1);
      assert.deepEqual(one.lines, []);
      assert.deepEqual(requests.logs, [BODY, BODY, BODY]);
      assert.equal(calls[0].getHost(), `localhost:${port}`);
      assert.deepEqual(proxy.seen.map(({ line }) => line), [`CONNECT localhost:${port}`]);
      const expected = `Basic ${Buffer.from("user:hunter2").toString("base64")}`;
      assert.equal(proxy.seen[0].headers["proxy-authorization"], expected);
      assert.deepEqual(calls[0].metadata.get("proxy-authorization"), []);
      assert.ok(proxy.open() > 0);
      await one.close();
      await until("the proxy has no connection", () => proxy.open() === 0);
      assert.equal(proxy.open(), 0);
    });

    it(`names it when it is what fails, without its password, for ${scheme}`, async () => {
      const { port, calls } = await backend(scheme);
      const free = await freePort();
      const url = `${scheme}://localhost:${port}`;
      const through = (proxyPort: number): Record<string, string> => ({
        ALL_PROXY: `http://user:hunter2@127.0.0.1:${proxyPort}`,
      });
      const refused = await complaint(url, through(free));
      assert.match(refused, /nothing listens at 127\.0\.0\.1:\d+, the proxy of ALL_PROXY,/);
      const unknown = await complaint(url, { ALL_PROXY: "http://user:hunter2@nothing.invalid:1" });
      assert.match(unknown, /"nothing\.invalid" \(from ALL_PROXY\)/);
      const locked = await complaint(url, through((await startProxy(407)).port));
      assert.match(locked, /the proxy http:.* \(from ALL_PROXY\) does not connect to localhost:/);
      assert.match(locked, /HTTP 407; check the user name and the password in ALL_PROXY; retrying/);
      const closing = await listen(net.createServer((socket) => void socket.end()));
      assert.match(
        await complaint(url, through(closing)),
        /(closed|reset).*by the proxy http:.* \(from ALL_PROXY\)/,
      );
      for (const said of [refused, unknown, locked]) assert.doesNotMatch(said, /hunter2|user:/);
      assert.equal(calls.length, 0);
    });

    it(`lets go of one that does not answer, for ${scheme}`, async () => {
      let open = 0;
      const silent = await listen(net.createServer((socket) => {
        open++;
        socket.resume();
        socket.on("close", () => open--);
      }));
      const env = { ALL_PROXY: `http://127.0.0.1:${silent}` };
      const said = await complaint(`${scheme}://localhost:1`, env, { timeoutMs: 100 });
      assert.match(said, /does not accept gRPC connections through http:.* \(from ALL_PROXY\)/);
      await until("no connection is open", () => open === 0);
      assert.equal(open, 0);
    });
  }

  it("does not ask the variables that grpc-js itself would", async () => {
    const { port, calls } = await backend("http");
    process.env.grpc_proxy = "http://127.0.0.1:1";
    try {
      const one = sender(`http://localhost:${port}`, {}, { maxElapsedMs: 5_000 });
      assert.equal((await one.send(BODY, 1)).accepted, 1);
      assert.equal(calls.length, 1);
    } finally {
      delete process.env.grpc_proxy;
    }
  });
});
