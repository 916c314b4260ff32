import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createServer, type TLSSocket } from "node:tls";
import { createSender } from "./send.ts";
import { until } from "../testing/run.ts";
import { CERTIFICATE, KEY, OTHER_CERTIFICATE, OTHER_KEY } from "../testing/tls-fixture.ts";
import { watchTls } from "./tls.ts";
import { LOOK_MS } from "./watched-files.ts";

const root = mkdtempSync(join(tmpdir(), "otlp-mmap-tls-"));
after(() => rmSync(root, { recursive: true }));

/** Replaces a file as a whole, as those do that renew certificates. */
function put(path: string, text: string): void {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

/** A request of a client. */
interface Seen {
  /** Fingerprint of the client's certificate. */
  readonly client: string;
  readonly socket: TLSSocket;
}

const ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const BODY = Buffer.from("the body");

/**
 * A server that shows one certificate and takes clients that show another. Not of `node:https`,
 * which on Bun does not tell the client's certificate.
 */
async function serve(
  material: { cert: string; key: string; ca: string },
  port: number,
  answer: (seen: Seen) => void,
): Promise<{ port: number; stop: () => Promise<void> }> {
  const sockets = new Set<TLSSocket>();
  const asked = { ...material, requestCert: true, rejectUnauthorized: true };
  const server = createServer(asked, (socket) => {
    sockets.add(socket);
    let received = "";
    socket.on("data", (chunk: Buffer) => {
      received += chunk.toString("latin1");
      if (!received.endsWith(`\r\n\r\n${BODY}`)) return;
      received = "";
      answer({ client: socket.getPeerCertificate().fingerprint256, socket });
    });
    socket.on("error", () => {});
  });
  await new Promise<void>((done) => server.listen(port, "127.0.0.1", () => done()));
  return {
    port: (server.address() as AddressInfo).port,
    stop: () =>
      new Promise((done) => {
        server.close(() => done());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

describe("TLS material in files", () => {
  it("is used for new connections when it changes, and bad files change nothing", async () => {
    const files = { ca: join(root, "ca"), cert: join(root, "cert"), key: join(root, "key") };
    put(files.ca, CERTIFICATE);
    put(files.cert, CERTIFICATE);
    put(files.key, KEY);
    const lines: string[] = [];
    const log = (level: string, message: string): void => void lines.push(`${level} ${message}`);
    const tls = watchTls(files, log);
    const seen: Seen[] = [];
    const note = (one: Seen): void => {
      seen.push(one);
      one.socket.write(ANSWER);
    };
    let server = await serve({ cert: CERTIFICATE, key: KEY, ca: CERTIFICATE }, 0, note);
    const sender = createSender({
      signal: "traces",
      url: `https://localhost:${server.port}/v1/traces`,
      tls,
      backoff: { initialMs: 20, maxMs: 100, factor: 1.5, jitter: 0.5 },
      log,
    });
    try {
      for (let i = 0; i < 2; i++) assert.equal((await sender.send(BODY, 1)).accepted, 1);
      assert.ok(seen[0].socket === seen[1].socket, "the connection is kept");
      assert.equal(lines.length, 0);

      // A key of another certificate, then no file at all: the old material stays, and is enough.
      put(files.key, OTHER_KEY);
      await sleep(LOOK_MS + 50);
      assert.equal((await sender.send(BODY, 1)).accepted, 1);
      rmSync(files.ca);
      await sleep(LOOK_MS + 50);
      assert.equal((await sender.send(BODY, 1)).accepted, 1);
      assert.ok(seen[3].socket === seen[0].socket, "on the same connection");
      assert.equal(lines.length, 1, lines.join("\n"));
      assert.match(lines[0], /^warn the TLS material of .* can't be read again, the one before /);
      assert.match(lines[0], /key does not belong to the certificate|key in .* does not belong to/);

      // Server and client go over to another authority.
      const { port } = server;
      await server.stop();
      const next = { cert: OTHER_CERTIFICATE, key: OTHER_KEY, ca: OTHER_CERTIFICATE };
      server = await serve(next, port, note);
      const sending = sender.send(BODY, 1);
      await until(
        "it says that it tries again",
        () => lines.some((line) => line.includes("retrying")),
      );
      assert.match(lines[1], /signed by nobody trusted here.*--ca-file.*retrying$/);
      put(files.ca, OTHER_CERTIFICATE);
      put(files.cert, OTHER_CERTIFICATE);
      assert.equal((await sending).accepted, 1);
      assert.ok(lines.some((line) => line.endsWith("was read again")), lines.join("\n"));
      assert.equal(new Set(seen.map(({ client }) => client)).size, 2);
    } finally {
      await sender.close();
      await server.stop();
    }
  });

  it("leaves a request that runs its connection, and closes it after", async () => {
    const files = { ca: join(root, "ca2"), cert: join(root, "cert2"), key: join(root, "key2") };
    put(files.ca, CERTIFICATE);
    put(files.cert, CERTIFICATE);
    put(files.key, KEY);
    const held: Seen[] = [];
    const ca = CERTIFICATE + OTHER_CERTIFICATE;
    const server = await serve({ cert: CERTIFICATE, key: KEY, ca }, 0, (one) => {
      if (held.push(one) > 1) one.socket.write(ANSWER);
    });
    const sender = createSender({
      signal: "traces",
      url: `https://localhost:${server.port}/v1/traces`,
      tls: watchTls(files, () => {}),
      log: () => {},
    });
    try {
      const first = sender.send(BODY, 1);
      await until("a connection is there", () => held.length > 0);
      let closed = false;
      held[0].socket.on("close", () => closed = true);
      put(files.cert, OTHER_CERTIFICATE);
      put(files.key, OTHER_KEY);
      await sleep(LOOK_MS + 50);
      assert.equal((await sender.send(BODY, 1)).accepted, 1);
      assert.equal(closed, false);
      assert.notEqual(held[0].client, held[1].client);
      held[0].socket.write(ANSWER);
      assert.equal((await first).accepted, 1);
      await until("the connection is closed", () => closed);
      assert.ok(closed);
      assert.equal((await sender.send(BODY, 1)).accepted, 1);
      assert.ok(held[2].socket === held[1].socket);
    } finally {
      await sender.close();
      await server.stop();
    }
  });
});
