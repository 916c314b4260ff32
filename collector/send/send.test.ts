import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import * as http from "node:http";
import * as https from "node:https";
import * as net from "node:net";
import process from "node:process";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { gunzipSync } from "node:zlib";
import { MAX_CONNECTIONS } from "./connection.ts";
import { USER_AGENT } from "./headers.ts";
import { fromOtlpJson } from "../text/otlp-json.ts";
import { until } from "../testing/run.ts";
import { BODY, complaint, startSender as sender } from "../testing/senders.ts";
import { cleanups, freePort, listen, startHttpBackend as backend } from "../testing/servers.ts";
import { CERTIFICATE, KEY } from "../testing/tls-fixture.ts";
import type { TlsMaterial } from "./tls.ts";

/** A server that says the same bytes to everybody, at once or after the first bytes of the request. */
async function rawBackend(bytes: string, after: "connect" | "request"): Promise<string> {
  const server = net.createServer((socket) => {
    const speak = (): void => void socket.end(Buffer.from(bytes, "latin1"));
    if (after === "connect") speak();
    else socket.once("data", speak);
    socket.resume();
  });
  return `http://127.0.0.1:${await listen(server)}/v1/traces`;
}

describe("a backend that takes everything", () => {
  it("gets the request as OTLP/HTTP wants it", async () => {
    const { url, seen } = await backend((response) => {
      response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
    });
    const one = sender(url, {
      headers: [{ name: "Api-Key", value: "grüße", source: "--header" }],
    });
    for (let i = 0; i < 3; i++) {
      assert.deepEqual(await one.send(BODY, 7), { accepted: 7, rejected: 0, dropped: 0 });
    }
    const [{ method, url: path, headers, body }] = seen;
    assert.equal(method, "POST");
    assert.equal(path, "/v1/traces");
    assert.equal(headers["content-type"], "application/x-protobuf");
    assert.equal(headers["content-length"], String(BODY.length));
    assert.equal(headers["content-encoding"], undefined);
    assert.equal(headers["user-agent"], USER_AGENT);
    assert.match(USER_AGENT, /^OTel-OTLP-Exporter-otlp-mmap\/\d+\.\d+\.\d+/);
    assert.equal(Buffer.from(headers["api-key"] as string, "latin1").toString("utf8"), "grüße");
    assert.deepEqual(body, BODY);
    assert.deepEqual(one.lines, []);
    assert.deepEqual({ ...one.state }, {
      ok: true,
      lastError: undefined,
      failures: 0,
      allFailures: 0,
      takes: true,
    });
  });

  it("reuses its connection, and makes a new one when the server has closed it", async () => {
    const ports: (number | undefined)[] = [];
    const { url } = await backend((response) => {
      ports.push(response.socket?.remotePort);
      response.end();
      if (ports.length === 2) response.socket?.end();
    });
    const one = sender(url);
    for (let i = 0; i < 4; i++) {
      assert.equal((await one.send(BODY, 1)).accepted, 1);
      if (i === 1) await sleep(50);
    }
    assert.equal(ports[0], ports[1]);
    assert.notEqual(ports[1], ports[2]);
    assert.equal(ports[2], ports[3]);
    assert.deepEqual(one.lines, []);
  });

  it("sends the whole request again when a kept connection turns out to be closed", async () => {
    const answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    const big = Buffer.alloc(500_000, "span ");
    const taken: Buffer[] = [];
    const server = net.createServer((socket) => {
      let received: Buffer = Buffer.alloc(0);
      let answered = false;
      socket.on("data", (chunk: Buffer) => {
        if (answered) {
          socket.destroy();
          return;
        }
        received = Buffer.concat([received, chunk]);
        const body = received.subarray(received.indexOf("\r\n\r\n") + 4);
        if (body.length < big.length) return;
        answered = true;
        taken.push(body);
        socket.write(answer);
      });
    });
    const one = sender(`http://127.0.0.1:${await listen(server)}/`);
    for (let i = 0; i < 4; i++) assert.equal((await one.send(big, 1)).accepted, 1);
    assert.equal(taken.length, 4);
    for (const body of taken) assert.deepEqual(body, big);
    assert.deepEqual(one.lines, []);
  });

  it("leaves nothing behind on a kept connection", async () => {
    const warnings: Error[] = [];
    const note = (warning: Error): void => void warnings.push(warning);
    process.on("warning", note);
    cleanups.push(() => void process.off("warning", note));
    const { url } = await backend((response) => void response.end());
    const one = sender(url);
    for (let i = 0; i < 30; i++) await one.send(BODY, 1);
    await sleep(0);
    assert.deepEqual(warnings, []);
  });

  it("has a bounded number of connections, and stops what waits for one", async () => {
    const ends: (() => void)[] = [];
    let answering = false;
    const { url, seen } = await backend((response) => {
      if (answering) response.end();
      else ends.push(() => response.end());
    });
    const total = MAX_CONNECTIONS + 5;
    // Waiting for a connection does not count as time of the attempt.
    const one = sender(url, { timeoutMs: 2000 });
    const sending = Promise.all(Array.from({ length: total }, () => one.send(BODY, 1)));
    await until("each connection has a request", () => seen.length >= MAX_CONNECTIONS);
    await sleep(50);
    assert.equal(seen.length, MAX_CONNECTIONS);
    answering = true;
    for (const end of ends.splice(0)) end();
    assert.ok((await sending).every(({ accepted }) => accepted === 1));
    assert.equal(seen.length, total);

    answering = false;
    const more = Promise.all(Array.from({ length: total }, () => one.send(BODY, 1)));
    await until("each connection has a request", () => ends.length >= MAX_CONNECTIONS);
    one.abort("enough");
    assert.ok((await more).every(({ reason }) => reason === "enough"));
    assert.equal(seen.length, total + MAX_CONNECTIONS);
    assert.deepEqual(one.lines, []);
  });

  it("gets gzip, large bodies, and several at once", async () => {
    const { url, seen } = await backend((response) => void response.writeHead(202).end("ok"));
    const big = Buffer.alloc(3_000_000, "span ");
    const zipping = sender(url, { compression: "gzip" });
    assert.equal((await zipping.send(big, 5)).accepted, 5);
    assert.equal(seen[0].headers["content-encoding"], "gzip");
    assert.deepEqual(gunzipSync(seen[0].body), big);
    const plain = sender(url);
    const outcomes = await Promise.all([1, 2, 3].map((spans) => plain.send(big, spans)));
    assert.deepEqual(outcomes.map(({ accepted }) => accepted), [1, 2, 3]);
    for (const { body } of seen.slice(1)) assert.deepEqual(body, big);
  });

  it("gets OTLP/JSON when that is asked for", async () => {
    const partial = { partialSuccess: { rejectedLogRecords: "1", errorMessage: "bad" } };
    const { url, seen } = await backend((response) => {
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(partial));
    });
    const json = { resourceLogs: [{ scopeLogs: [{ logRecords: [{ timeUnixNano: "7" }] }] }] };
    const body = fromOtlpJson("logs", JSON.stringify(json));
    for (const compression of ["none", "gzip"] as const) {
      const one = sender(url, { signal: "logs", protocol: "http/json", compression });
      const { accepted, rejected } = await one.send(body, 3);
      assert.deepEqual([accepted, rejected], [2, 1]);
      assert.match(one.lines[0], /rejected 1 of 3 log records: the server says "bad"/);
      // No request at all.
      const broken = await one.send(Buffer.from("rubbish"), 3);
      assert.equal(broken.dropped, 3);
      assert.match(one.lines[1], /can't be put as JSON/);
    }
    for (const { headers } of seen) {
      assert.equal(headers["content-type"], "application/json");
      assert.match(headers.accept ?? "", /^application\/json,/);
    }
    const bodies = [seen[0].body, gunzipSync(seen[1].body)];
    for (const text of bodies) assert.deepEqual(JSON.parse(String(text)), json);
    assert.equal(seen[1].headers["content-encoding"], "gzip");
    assert.equal(seen.length, 2);
  });

  it("sends user name and password of the URL", async () => {
    const { url, seen } = await backend((response) => void response.end());
    const one = sender(url.replace("://", "://us%40er:p%3Aw@"));
    await one.send(BODY, 1);
    const expected = Buffer.from("us@er:p:w").toString("base64");
    assert.equal(seen[0].headers.authorization, `Basic ${expected}`);
  });

  it("is told what it refused where that was in the URL", async () => {
    const { url } = await backend((response) => void response.writeHead(401).end());
    const refused = url.replace("://", "://us%40er:hunter2@");
    const said = async (headers: { name: string; value: string; source: string }[]) =>
      (await sender(refused, { headers }).send(BODY, 1)).reason ?? "";
    assert.match(await said([]), /check .* authorization \(from user name .* of the endpoint\)$/);
    const own = [{ name: "Authorization", value: "x", source: "--header" }];
    assert.match(await said(own), /check the credentials in Authorization \(from --header\)$/);
  });

  it("refuses headers that would break the request", () => {
    const make = (name: string, value: string): unknown =>
      sender("http://localhost/", { headers: [{ name, value, source: "--header" }] });
    assert.throws(() => make("a", "b\r\nc: d"), /header "a" from --header: .*control characters/);
    assert.throws(() => make("a b", "c"), /not a valid header name/);
    assert.throws(() => make("Content-Length", "3"), /set by otlp-mmap itself/);
    assert.throws(() => make("Trailer", "x"), /set by otlp-mmap itself/);
  });
});

describe("https", () => {
  const material = { ca: CERTIFICATE };
  const trusting = (): TlsMaterial => material;

  it("trusts a given certificate, and names the problem of others", async () => {
    const server = https.createServer({ cert: CERTIFICATE, key: KEY }, (request, response) => {
      request.resume();
      request.on("end", () => response.end());
    });
    const port = await listen(server);
    const url = `https://localhost:${port}/v1/traces`;
    const one = sender(url, { tls: trusting });
    assert.equal((await one.send(BODY, 2)).accepted, 2);
    assert.equal((await one.send(BODY, 2)).accepted, 2);
    const headers = [{ name: "Host", value: "elsewhere.example", source: "--header" }];
    const proxied = sender(url, { tls: trusting, headers });
    assert.equal((await proxied.send(BODY, 2)).accepted, 2);
    assert.match(
      await complaint(url),
      /signed by nobody trusted here.*OTEL_EXPORTER_OTLP_CERTIFICATE/,
    );
    assert.match(
      await complaint(`https://127.0.0.1:${port}/`, { tls: trusting }),
      /certificate is not made out for "127\.0\.0\.1"/,
    );
    assert.match(await complaint(`http://localhost:${port}/`), /use https:\/\/|may speak TLS/);
  });

  it("shows its own certificate, and hints at that when the server wants one", async () => {
    const given = { cert: CERTIFICATE, key: KEY, ca: CERTIFICATE };
    const server = https.createServer({ ...given, requestCert: true }, (request, response) => {
      request.resume();
      request.on("end", () => response.end());
    });
    const url = `https://localhost:${await listen(server)}/v1/traces`;
    assert.equal((await sender(url, { tls: () => given }).send(BODY, 2)).accepted, 2);
    const said = await complaint(url, { tls: trusting });
    assert.match(said, /OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE/);
  });

  it("says when the port does not speak TLS", async () => {
    const { url } = await backend((response) => void response.end());
    assert.match(await complaint(url.replace("http:", "https:")), /use http:\/\//);
    const closing = await listen(net.createServer((socket) => void socket.end()));
    assert.match(
      await complaint(`https://localhost:${closing}/`),
      /closed without an answer.*does this port speak TLS\?/,
    );
  });
});

describe("retrying", () => {
  for (const status of [429, 502, 503, 504]) {
    it(`goes on after HTTP ${status} until it works`, async () => {
      const { url, seen } = await backend((response, _, count) => {
        response.writeHead(count < 4 ? status : 200).end(count < 4 ? "busy" : "");
      });
      const one = sender(url);
      assert.deepEqual(await one.send(BODY, 9), { accepted: 9, rejected: 0, dropped: 0 });
      assert.equal(seen.length, 4);
      for (const { body } of seen) assert.deepEqual(body, BODY);
      assert.equal(one.lines.length, 2);
      assert.match(one.lines[0], new RegExp(`^warn .*HTTP ${status} .*"busy"; retrying$`));
      assert.match(one.lines[1], /^info .*takes spans again after .*failed attempts: 3/);
    });
  }

  for (const form of ["seconds", "date"]) {
    it(`waits as long as Retry-After says in ${form}, for every batch`, async () => {
      const times: number[] = [];
      const { url } = await backend((response, _, count) => {
        times.push(Date.now());
        // A date has no fractions of a second: at least one second remains of two.
        const value = form === "seconds" ? "1" : new Date(Date.now() + 2000).toUTCString();
        if (count === 1) response.writeHead(503, { "retry-after": value }).end();
        else response.end();
      });
      const one = sender(url);
      const first = one.send(BODY, 1);
      await until("there is an attempt", () => times.length > 0);
      await sleep(30);
      assert.equal((await one.send(BODY, 1)).accepted, 1);
      assert.equal((await first).accepted, 1);
      assert.equal(times.length, 3);
      for (const time of times.slice(1)) assert.ok(time - times[0] >= 950, String(time - times[0]));
    });
  }

  for (
    const [what, before, during] of [["back", 0, -1], ["forward", 0, 1], ["back", -1, -1]] as const
  ) {
    const when = before === 0 ? "while it waits" : "before";
    it(`waits as long as a Retry-After says though the clock was set ${what} by an hour ${when}`, async () => {
      const real = Date.now;
      const clock = (hours: number) => () => real() + hours * 3_600_000;
      const times: number[] = [];
      const { url } = await backend((response, _, count) => {
        times.push(performance.now());
        if (count > 1) return void response.end();
        const [date, value] = [0, 2000].map((ms) => new Date(real() + ms).toUTCString());
        response.writeHead(503, { date, "retry-after": value }).end();
      });
      const one = sender(url);
      try {
        Date.now = clock(before);
        const sent = one.send(BODY, 1);
        await until("an attempt has failed", () => one.state.failures > 0);
        Date.now = clock(during);
        assert.equal((await sent).accepted, 1);
      } finally {
        Date.now = real;
      }
      assert.equal(times.length, 2);
      assert.ok(times[1] - times[0] >= 950, String(times[1] - times[0]));
    });
  }

  it("says that nothing listens, and delivers when something does", async () => {
    const port = await freePort();
    const one = sender(`http://127.0.0.1:${port}/v1/traces`);
    const sending = one.send(BODY, 4);
    await until("three attempts have failed", () => one.state.failures >= 3);
    assert.equal(one.state.ok, false);
    assert.match(
      one.lines[0],
      /nothing listens at 127\.0\.0\.1:\d+ \(connection refused\); retrying/,
    );
    assert.equal(one.lines.length, 1);
    await listen(
      http.createServer((request, response) => {
        request.resume();
        request.on("end", () => response.end());
      }),
      port,
    );
    assert.deepEqual(await sending, { accepted: 4, rejected: 0, dropped: 0 });
    assert.match(one.lines[1], /takes spans again/);
  });

  it("gives up after the time it was given", async () => {
    const { url } = await backend((response) => void response.writeHead(503).end("down"));
    const one = sender(url, { maxElapsedMs: 150 });
    const outcome = await one.send(BODY, 6);
    assert.equal(outcome.dropped, 6);
    assert.equal(outcome.gaveUp, true);
    assert.match(outcome.reason ?? "", /given up after .*attempts: .*HTTP 503/);
  });

  it("does not wait for a Retry-After beyond the time it was given", async () => {
    const { url } = await backend((response) => {
      response.writeHead(429, { "retry-after": "600" }).end();
    });
    const one = sender(url, { maxElapsedMs: 1000 });
    assert.equal((await one.send(BODY, 6)).gaveUp, true);
    assert.equal((await one.send(BODY, 6)).gaveUp, true);
  });

  it("stops at once when told to, in a wait and in a request", async () => {
    let cut: Promise<unknown> | undefined;
    const { url, seen } = await backend((response, _, count) => {
      if (count === 1) response.writeHead(503, { "retry-after": "600" }).end();
      else cut = new Promise((done) => response.on("close", done));
    });
    const waiting = sender(url);
    const first = waiting.send(BODY, 1);
    await until("something is said", () => waiting.lines.length > 0);
    waiting.abort("the end");
    assert.equal((await first).reason, "the end");
    const asking = sender(url);
    const second = asking.send(BODY, 2);
    await until("there is a second request", () => seen.length >= 2);
    asking.abort("the end");
    assert.deepEqual(await second, {
      accepted: 0,
      rejected: 0,
      dropped: 2,
      reason: "the end",
      gaveUp: true,
    });
    assert.deepEqual(asking.lines, []);
    await cut;
    assert.equal((await asking.send(BODY, 3)).dropped, 3);
  });
});

describe("refusals", () => {
  for (const status of [301, 400, 401, 403, 404, 413, 500, 501]) {
    it(`drops after HTTP ${status} and goes on with the next batch`, async () => {
      const { url, seen } = await backend((response, _, count) => {
        response.writeHead(count === 1 ? status : 200, { location: "/elsewhere" }).end(
          "no\nreason",
        );
      });
      const one = sender(url);
      const outcome = await one.send(BODY, 8);
      // Nothing at this path at all: the backend does not take the signal.
      const refused = status === 404 || status === 501 ? [0, 8, 0] : [0, 0, 8];
      assert.deepEqual([outcome.accepted, outcome.rejected, outcome.dropped], refused);
      assert.equal(outcome.gaveUp, undefined);
      assert.match(outcome.reason ?? "", new RegExp(`^HTTP ${status}.*"no"`));
      assert.match(one.lines[0], /^error .*; 8 spans dropped$/);
      assert.equal((await one.send(BODY, 8)).accepted, 8);
      assert.equal(seen.length, 2);
    });
  }

  it("says once that a backend does not take logs, however often it is asked", async () => {
    const { url, seen } = await backend((response, _, count) => {
      response.writeHead(count < 4 ? 404 : 200).end();
    });
    const one = sender(url, { signal: "logs" });
    for (let i = 0; i < 3; i++) {
      const { accepted, rejected, dropped, gaveUp } = await one.send(BODY, 8);
      assert.deepEqual([accepted, rejected, dropped, gaveUp], [0, 8, 0, undefined]);
    }
    assert.equal(one.lines.length, 1, one.lines.join("\n"));
    assert.match(
      one.lines[0],
      /^warn .*this backend takes no logs at .*; 8 log records dropped, and/,
    );
    assert.equal((await one.send(BODY, 8)).accepted, 8);
    assert.equal(seen.length, 4);
  });

  it("reports partial success and does not send it again", async () => {
    const partial = Buffer.from("0a0708031203626164", "hex");
    const { url, seen } = await backend((response) => {
      response.writeHead(200, { "content-type": "application/x-protobuf" }).end(partial);
    });
    const one = sender(url);
    const outcome = await one.send(BODY, 10);
    assert.deepEqual([outcome.accepted, outcome.rejected, outcome.dropped], [7, 3, 0]);
    assert.match(outcome.reason ?? "", /rejected 3 of 10 spans: the server says "bad"/);
    await one.send(BODY, 10);
    assert.equal(seen.length, 2);
    assert.equal(one.lines.length, 1);
    assert.equal(one.state.ok, true);
  });

  it("reads an early 413 and does not keep the connection", async () => {
    const server = http.createServer((request, response) => {
      response.writeHead(413, { connection: "close" }).end("too large");
      request.resume();
    });
    const one = sender(`http://127.0.0.1:${await listen(server)}/`);
    const outcome = await one.send(Buffer.alloc(1_000_000), 5);
    assert.equal(outcome.dropped, 5);
    assert.match(outcome.reason ?? "", /5 spans in 1000000 bytes: lower --batch-size/);
  });

  it("cuts off a request that is answered before it is read", async () => {
    const closed: Promise<unknown>[] = [];
    const server = net.createServer((socket) => {
      socket.once("data", () => {
        socket.pause();
        socket.write("HTTP/1.1 413 No\r\nContent-Length: 3\r\n\r\nbig");
        // The end of the connection is only seen by reading.
        setTimeout(() => socket.resume(), 100);
      });
      closed.push(new Promise((done) => socket.on("close", done)));
    });
    const one = sender(`http://127.0.0.1:${await listen(server)}/`);
    const huge = Buffer.alloc(20_000_000);
    const count = MAX_CONNECTIONS + 1;
    const outcomes = await Promise.all(Array.from({ length: count }, () => one.send(huge, 5)));
    for (const { reason } of outcomes) assert.match(reason ?? "", /HTTP 413 .*"big"/);
    await Promise.all(closed);
    assert.equal(closed.length, count);
  });

  it("reads no more of an error than it needs", async () => {
    const { url } = await backend((response) => {
      response.writeHead(400, { "content-type": "text/plain" });
      response.write("the reason\n");
      const flood = setInterval(() => response.write(Buffer.alloc(1 << 20, "x")), 1);
      response.on("error", () => {});
      response.on("close", () => clearInterval(flood));
      cleanups.push(() => clearInterval(flood));
    });
    const outcome = await sender(url).send(BODY, 5);
    assert.match(outcome.reason ?? "", /"the reason"/);
  });
});

describe("answers that are none", () => {
  const SETTINGS = "\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64\0\x04\0\x10\0\0\0\x06\0\0\x20\0";

  it("knows the gRPC port by its HTTP/2 frames", async () => {
    const hint = /looks like the gRPC port.*OTLP\/HTTP is usually on port 4318/;
    assert.match(await complaint(await rawBackend(SETTINGS, "connect")), hint);
    assert.match(await complaint(await rawBackend(SETTINGS, "request")), hint);
    const goaway = "\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x01";
    assert.match(await complaint(await rawBackend(goaway, "request")), hint);
  });

  it("names other protocols", async () => {
    const ssh = await complaint(await rawBackend("SSH-2.0-OpenSSH\x1b[2J\r\n", "connect"));
    assert.match(ssh, /not HTTP \(it starts with "SSH-2\.0-OpenSSH\\x1b\[2J"\)/);
    assert.match(
      await complaint(await rawBackend("\x15\x03\x01\0\x02\x02\x46", "request")),
      /use https:\/\//,
    );
  });

  it("names what is wrong with broken HTTP", async () => {
    const bad = [
      ["HTTP/2 200\r\n\r\n", /not valid HTTP\/1\.1: .* \(it starts with "HTTP\/2 200"\)/],
      ["HTTP/1.1 200 OK\r\nno colon\r\n\r\n", /not valid HTTP\/1\.1: .*header/],
      ["HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", /not valid HTTP\/1\.1: .*Content-Length/],
      ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", /not valid .*chunk size: is/],
      [`HTTP/1.1 200 OK\r\nX: ${"y".repeat(100_000)}\r\n\r\n`, /not valid .*Header overflow/],
      ["HTTP/1.1 101 Switching\r\n\r\n", /switched protocols unasked/],
      [
        "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        /switched protocols unasked/,
      ],
    ] as const;
    for (const [answer, message] of bad) {
      assert.match(await complaint(await rawBackend(answer, "request")), message);
    }
  });

  it("passes interim answers, and reads one without a length to its end", async () => {
    const interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
    const late = `${interim}HTTP/1.1 204 No Content\r\n\r\n`;
    assert.equal((await sender(await rawBackend(late, "request")).send(BODY, 2)).accepted, 2);
    const old = await rawBackend("HTTP/1.0 500 Oops\r\n\r\nall of it", "request");
    assert.match((await sender(old).send(BODY, 2)).reason ?? "", /says "all of it"/);
  });

  it("says when the connection is closed without an answer, or in the middle of one", async () => {
    assert.match(await complaint(await rawBackend("", "request")), /closed|reset/);
    const reset = net.createServer((socket) => {
      socket.once("data", () => socket.resetAndDestroy());
    });
    assert.match(
      await complaint(`http://127.0.0.1:${await listen(reset)}/`),
      /reset \(ECONNRESET\)/,
    );
    const half = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
    assert.match(
      await complaint(await rawBackend(half, "request")),
      /in the middle of its answer|reset/,
    );
  });

  it("gives a slow server its time and no more", async () => {
    const never = await backend(() => {});
    assert.match(
      await complaint(never.url, { timeoutMs: 60 }),
      /too slow: no complete answer within 60 ms/,
    );
    const dripping = await backend((response) => {
      response.writeHead(200, { "content-length": "1000000" });
      const drip = setInterval(() => response.write("x"), 5);
      response.on("close", () => clearInterval(drip));
      cleanups.push(() => clearInterval(drip));
    });
    assert.match(await complaint(dripping.url, { timeoutMs: 60 }), /too slow/);
    const silent = await listen(net.createServer((socket) => void socket.resume()));
    assert.match(
      await complaint(`https://127.0.0.1:${silent}/`, { timeoutMs: 60 }),
      /does not accept connections \(no connection within 60 ms\)/,
    );
  });

  it("names a host that does not exist", async () => {
    const said = await complaint("http://nothing.invalid:4318/v1/traces");
    assert.match(said, /no host is named "nothing\.invalid"|can't be looked up/);
  });

  it("stays up and delivers when the nonsense ends", async () => {
    let nonsense = true;
    const server = net.createServer((socket) => {
      const answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
      socket.once("data", () => socket.write(nonsense ? "rubbish\r\n\r\n" : answer));
    });
    const one = sender(`http://127.0.0.1:${await listen(server)}/`);
    const sending = one.send(Buffer.from("x"), 2);
    await until("two attempts have failed", () => one.state.failures >= 2);
    nonsense = false;
    assert.equal((await sending).accepted, 2);
  });
});
