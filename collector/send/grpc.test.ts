import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import * as http from "node:http";
import * as https from "node:https";
import * as net from "node:net";
import { describe, it } from "node:test";
import * as grpc from "@grpc/grpc-js";
import { USER_AGENT } from "./headers.ts";
import type { SenderOptions } from "./send.ts";
import {
  type GrpcAnswer,
  type GrpcBackend,
  type GrpcBackendOptions,
  startGrpcBackend,
} from "../testing/grpc-backend.ts";
import { until } from "../testing/run.ts";
import {
  BODY,
  complaint as complaintOf,
  startSender,
  type ToldSender,
} from "../testing/senders.ts";
import { cleanups, listen as listenOn } from "../testing/servers.ts";
import {
  ADDRESS_CERTIFICATE,
  CERTIFICATE,
  KEY,
  OTHER_CERTIFICATE,
  OTHER_KEY,
} from "../testing/tls-fixture.ts";
import type { TlsMaterial, TlsSource } from "./tls.ts";

const TLS = { ca: CERTIFICATE, cert: CERTIFICATE, key: KEY };
const OTHER_TLS = { ca: CERTIFICATE, cert: OTHER_CERTIFICATE, key: OTHER_KEY };
const constant = (material: TlsMaterial): TlsSource => () => material;
const trusting = constant({ ca: CERTIFICATE });

/** A backend that ends with the tests. */
async function backend(answer?: GrpcAnswer, more?: GrpcBackendOptions): Promise<GrpcBackend> {
  const started = await startGrpcBackend(answer, more);
  cleanups.push(started.stop);
  return started;
}

function sender(url: string, more: Partial<SenderOptions> = {}): ToldSender {
  return startSender(url, { protocol: "grpc", ...more });
}

function complaint(url: string, more: Partial<SenderOptions> = {}): Promise<string> {
  return complaintOf(url, { protocol: "grpc", ...more });
}

/** Listens on a free port; returns host and port. */
async function listen(server: net.Server): Promise<string> {
  return `127.0.0.1:${await listenOn(server)}`;
}

/** A field of bytes or text in protobuf. */
function field(number: number, value: string | Uint8Array): Buffer {
  const content = Buffer.from(value as string);
  return Buffer.concat([Buffer.from([number << 3 | 2, content.length]), content]);
}

/** A google.rpc.Status that asks to wait for that many milliseconds. */
function retryInfo(ms: number): Buffer {
  const nanos = ms % 1000 * 1_000_000;
  const varint = (value: number): number[] =>
    value < 128 ? [value] : [value % 128 | 128, ...varint(Math.floor(value / 128))];
  const seconds = Math.floor(ms / 1000);
  const duration = Buffer.from([1 << 3, ...varint(seconds), 2 << 3, ...varint(nanos)]);
  const other = field(3, field(1, "type.googleapis.com/google.rpc.DebugInfo"));
  const any = Buffer.concat([
    field(1, "type.googleapis.com/google.rpc.RetryInfo"),
    field(2, field(1, duration)),
  ]);
  return Buffer.concat([Buffer.from([1 << 3, 8]), field(2, "slow down"), other, field(3, any)]);
}

function failure(code: grpc.status, details: string, statusDetails?: Buffer): grpc.ServiceError {
  const metadata = new grpc.Metadata();
  if (statusDetails !== undefined) metadata.set("grpc-status-details-bin", statusDetails);
  return Object.assign(new Error(details), { code, details, metadata });
}

describe("a gRPC backend that takes everything", () => {
  for (const signal of ["traces", "metrics", "logs"] as const) {
    it(`gets ${signal} at their service`, async () => {
      const { url, calls, requests } = await backend();
      const one = sender(url, { signal });
      assert.deepEqual(await one.send(BODY, 7), { accepted: 7, rejected: 0, dropped: 0 });
      // A view of a larger buffer, as the collector's batches are.
      const view = new Uint8Array(Buffer.concat([BODY, BODY]).buffer, 9, 90);
      assert.equal((await one.send(view, 1)).accepted, 1);
      assert.deepEqual(requests[signal], [BODY, Buffer.from(view)]);
      assert.equal(calls.length, 2);
      assert.deepEqual(one.lines, []);
      assert.deepEqual({ ...one.state }, {
        ok: true,
        lastError: undefined,
        failures: 0,
        allFailures: 0,
        takes: true,
      });
    });
  }

  it("gets the token of now, which is never said", async () => {
    const tokens = ["Bearer first-secret", "Bearer second-secret"];
    const { url, calls } = await backend((reply, count) =>
      count === 1
        ? reply(failure(grpc.status.UNAUTHENTICATED, "who is it?"))
        : reply(null, Buffer.alloc(0))
    );
    const one = sender(url, {
      authorization: {
        value: () => tokens[Math.min(calls.length, 1)],
        source: "c.yaml: collect.bearer_token_file",
      },
    });
    assert.equal((await one.send(BODY, 1)).dropped, 1);
    assert.equal((await one.send(BODY, 1)).accepted, 1);
    const seen = calls.map(({ metadata }) => metadata.get("authorization"));
    assert.deepEqual(seen, tokens.map((token) => [token]));
    assert.match(one.lines[0], /authorization \(from c\.yaml: collect\.bearer_token_file\)/);
    assert.doesNotMatch(one.lines.join(), /-secret/);
  });

  it("gets headers as metadata, and the credentials of the URL", async () => {
    const { port, calls } = await backend();
    const one = sender(`http://us%40er:p%3Aw@127.0.0.1:${port}`, {
      headers: [
        { name: "Api-Key", value: "k=1, 2", source: "--header" },
        { name: "sign-bin", value: "AP8=", source: "--header" },
        { name: "Host", value: "tenant.example", source: "--header" },
      ],
    });
    assert.equal((await one.send(BODY, 1)).accepted, 1);
    const [{ metadata }] = calls;
    assert.deepEqual(metadata.get("api-key"), ["k=1, 2"]);
    assert.deepEqual(metadata.get("sign-bin"), [Buffer.from([0, 255])]);
    const basic = `Basic ${Buffer.from("us@er:p:w").toString("base64")}`;
    assert.deepEqual(metadata.get("authorization"), [basic]);
    assert.match(String(metadata.get("user-agent")), new RegExp(`^${USER_AGENT} grpc-node-js/`));
    assert.equal(calls[0].getHost(), "tenant.example");
  });

  it("gets gzip when that is asked for", async () => {
    // Between the two, to see how much is sent.
    const counted = { none: 0, gzip: 0 };
    for (const compression of ["none", "gzip"] as const) {
      const { port, calls } = await backend();
      const between = net.createServer((socket) => {
        const there = net.connect(port, "127.0.0.1");
        there.on("error", () => socket.destroy());
        socket.on("data", (chunk: Buffer) => {
          counted[compression] += chunk.length;
          there.write(chunk);
        });
        there.on("data", (chunk: Buffer) => void socket.write(chunk));
        socket.on("close", () => there.destroy());
      });
      const one = sender(`http://${await listen(between)}`, { compression });
      const big = Buffer.alloc(1_000_000, "span ");
      for (let i = 0; i < 2; i++) assert.equal((await one.send(big, 5)).accepted, 5);
      for (const { request } of calls) assert.deepEqual(request, big);
      assert.equal(calls.length, 2);
    }
    assert.ok(counted.none > 2_000_000, String(counted.none));
    assert.ok(counted.gzip < 100_000, String(counted.gzip));
  });

  it("gets several requests at once over one connection", async () => {
    const held: Parameters<GrpcAnswer>[0][] = [];
    const { url, peers } = await backend((reply) => void held.push(reply));
    const one = sender(url);
    const sending = [1, 2, 3, 4].map((items) => one.send(BODY, items));
    await until("four calls are held", () => held.length >= 4);
    for (const reply of held.reverse()) reply(null, Buffer.alloc(0));
    assert.deepEqual((await Promise.all(sending)).map(({ accepted }) => accepted), [1, 2, 3, 4]);
    for (const peer of peers) assert.match(peer, /127\.0\.0\.1:\d+$/);
    assert.equal(new Set(peers).size, 1);
  });

  it("can't be given headers that gRPC can't send", () => {
    const make = (name: string, value: string): unknown =>
      sender("http://localhost:1", { headers: [{ name, value, source: "--header" }] });
    assert.throws(() => make("a", "hunter2ü"), /^Error: header "a" from --header: (?!.*hunter2)/);
    assert.throws(() => make("grpc-timeout", "1S"), /gRPC itself sets this header/);
    assert.throws(() => make("a!", "b"), /not valid in gRPC/);
    assert.throws(() => make("a-bin", "!"), /base64/);
    assert.throws(() => make("Content-Type", "b"), /set by otlp-mmap itself/);
  });
});

describe("gRPC over TLS", () => {
  it("trusts a given certificate, and names the problem of others", async () => {
    const { port } = await backend(undefined, { tls: "server" });
    const url = `https://localhost:${port}`;
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
      await complaint(`https://127.0.0.1:${port}`, { tls: trusting }),
      /certificate is not made out for "127\.0\.0\.1"/,
    );
    assert.match(
      await complaint(url, { tls: constant({ ca: "no PEM" }) }),
      /cannot send|TLS|trusted/,
    );
  });

  it("reaches a server by an address that its certificate is made out for", async () => {
    const { port } = await backend(undefined, { tls: "address" });
    const one = sender(`https://127.0.0.1:${port}`, { tls: constant({ ca: ADDRESS_CERTIFICATE }) });
    assert.equal((await one.send(BODY, 2)).accepted, 2, one.lines[0]);
  });

  it("shows its own certificate, and hints at that when the server wants one", async () => {
    const { port } = await backend(undefined, { tls: "mutual" });
    const url = `https://localhost:${port}`;
    assert.equal((await sender(url, { tls: constant(TLS) }).send(BODY, 2)).accepted, 2);
    const said = await complaint(url, { tls: trusting });
    assert.match(said, /OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE/);
  });

  it("makes a new connection when its own certificate changes, and lets calls end on the old", async () => {
    let held: (() => void) | undefined;
    const { port, calls, peers } = await backend((reply, count) => {
      const answer = (): void => reply(null, Buffer.alloc(0));
      if (count === 2) held = answer;
      else answer();
    }, { tls: "mutual" });
    let material = TLS;
    const one = sender(`https://localhost:${port}`, { tls: () => material });
    assert.equal((await one.send(BODY, 1)).accepted, 1);
    const second = one.send(BODY, 2);
    await until("a call is held", () => held !== undefined);
    material = OTHER_TLS;
    assert.equal((await one.send(BODY, 3)).accepted, 3);
    held!();
    assert.equal((await second).accepted, 2);
    assert.equal((await one.send(BODY, 4)).accepted, 4);
    assert.equal(calls.length, 4, one.lines.join());
    assert.deepEqual(peers.map((peer) => peers.indexOf(peer)), [0, 0, 2, 2]);
  });

  it("says when one side speaks TLS and the other does not", async () => {
    const plain = await backend();
    assert.match(
      await complaint(`https://localhost:${plain.port}`),
      /does not speak TLS on this port: use http:\/\//,
    );
    const secured = await backend(undefined, { tls: "server" });
    assert.match(await complaint(`http://localhost:${secured.port}`), /speak TLS \(https:\/\/\)/);
  });
});

describe("gRPC status codes", () => {
  const { status } = grpc;
  const retryable: grpc.status[] = [
    ...[status.CANCELLED, status.DEADLINE_EXCEEDED, status.ABORTED, status.OUT_OF_RANGE],
    ...[status.UNAVAILABLE, status.DATA_LOSS],
  ];
  for (let code = 1; code <= 16; code++) {
    const name = status[code];
    if (retryable.includes(code)) {
      it(`goes on after ${name} until it works`, async () => {
        const { url, calls } = await backend((reply, count) =>
          count < 4 ? reply(failure(code, "busy")) : reply(null, Buffer.alloc(0))
        );
        const one = sender(url);
        assert.deepEqual(await one.send(BODY, 9), { accepted: 9, rejected: 0, dropped: 0 });
        assert.equal(calls.length, 4);
        for (const { request } of calls) assert.deepEqual(request, BODY);
        assert.equal(one.lines.length, 2, one.lines.join("\n"));
        assert.match(one.lines[0], new RegExp(`^warn ${url}: gRPC ${name}; "busy"; retrying$`));
        assert.match(one.lines[1], /^info .*takes spans again after .*failed attempts: 3/);
      });
    } else {
      it(`drops after ${name} and goes on with the next batch`, async () => {
        const { url, calls } = await backend((reply, count) =>
          count === 1 ? reply(failure(code, "no\nreason")) : reply(null, Buffer.alloc(0))
        );
        const one = sender(url);
        const outcome = await one.send(BODY, 8);
        const refused = code === status.UNIMPLEMENTED ? [0, 8, 0] : [0, 0, 8];
        assert.deepEqual([outcome.accepted, outcome.rejected, outcome.dropped], refused);
        assert.equal(outcome.gaveUp, undefined);
        assert.match(outcome.reason ?? "", new RegExp(`^gRPC ${name}; "no"`));
        assert.match(one.lines[0], /^error .*; 8 spans dropped$/);
        assert.equal((await one.send(BODY, 8)).accepted, 8);
        assert.equal(calls.length, 2);
      });
    }
  }

  for (const code of [status.RESOURCE_EXHAUSTED, status.UNAVAILABLE]) {
    it(`waits as long as the RetryInfo of ${status[code]} says, for every batch`, async () => {
      const times: number[] = [];
      const { url } = await backend((reply, count) => {
        times.push(Date.now());
        if (count === 1) reply(failure(code, "slow down", retryInfo(1200)));
        else reply(null, Buffer.alloc(0));
      });
      const one = sender(url);
      const first = one.send(BODY, 1);
      await until("something is said", () => one.lines.length > 0);
      assert.equal((await one.send(BODY, 1)).accepted, 1);
      assert.equal((await first).accepted, 1);
      assert.equal(times.length, 3);
      for (const time of times.slice(1)) assert.ok(time - times[0] >= 1150, `${time - times[0]}`);
    });
  }

  it("takes RetryInfo without a delay for leave to retry, and rubbish for none", async () => {
    const { url } = await backend((reply, count) => {
      const { RESOURCE_EXHAUSTED } = status;
      if (count === 1) reply(failure(RESOURCE_EXHAUSTED, "x", retryInfo(0)));
      else if (count === 2) reply(null, Buffer.alloc(0));
      else reply(failure(RESOURCE_EXHAUSTED, "x", Buffer.from("\x1a\xff\xffrubbish", "latin1")));
    });
    const one = sender(url);
    assert.equal((await one.send(BODY, 4)).accepted, 4);
    assert.equal((await one.send(BODY, 4)).dropped, 4);
  });

  it("reports partial success and does not send it again", async () => {
    const partial = Buffer.from("0a0708031203626164", "hex");
    const { url, calls } = await backend((reply) => reply(null, partial));
    const one = sender(url);
    const outcome = await one.send(BODY, 10);
    assert.deepEqual([outcome.accepted, outcome.rejected, outcome.dropped], [7, 3, 0]);
    assert.match(outcome.reason ?? "", /rejected 3 of 10 spans: the server says "bad"/);
    await one.send(BODY, 10);
    assert.equal(calls.length, 2);
    assert.equal(one.lines.length, 1);
    assert.equal(one.state.ok, true);
  });

  it("takes a response that is none for a success, and says so", async () => {
    const { url } = await backend((reply) => reply(null, Buffer.from("rubbish")));
    const { accepted, reason } = await sender(url).send(BODY, 10);
    assert.equal(accepted, 10);
    assert.match(reason ?? "", /no ExportTraceServiceResponse/);
  });

  it("says once that a backend does not take logs, however often it is asked", async () => {
    const { url } = await backend(undefined, { signals: ["traces"] });
    const one = sender(url, { signal: "logs" });
    for (let i = 0; i < 3; i++) {
      const { accepted, rejected, dropped, gaveUp } = await one.send(BODY, 8);
      assert.deepEqual([accepted, rejected, dropped, gaveUp], [0, 8, 0, undefined]);
    }
    assert.equal(one.lines.length, 1, one.lines.join("\n"));
    assert.match(one.lines[0], /^warn .*UNIMPLEMENTED.*takes no logs over gRPC; 8 log records/);
  });

  for (const code of [status.UNAUTHENTICATED, status.PERMISSION_DENIED]) {
    it(`names the source of credentials after ${status[code]}, and never their value`, async () => {
      const { url } = await backend((reply) => reply(failure(code, "who are you?")));
      const headers = [{ name: "api-key", value: "hunter2", source: "OTEL_X_HEADERS" }];
      const one = sender(url, { headers });
      const { reason } = await one.send(BODY, 8);
      assert.match(reason ?? "", /"who are you\?"; check .*api-key \(from OTEL_X_HEADERS\)/);
      assert.doesNotMatch(reason + one.lines.join(), /hunter2/);
      assert.match((await sender(url).send(BODY, 8)).reason ?? "", /no header with credentials/);
    });
  }

  it("says what to do when the request is too large", async () => {
    const details = "grpc: received message larger than max (9000 vs. 4096)";
    const { url } = await backend((reply) => reply(failure(status.RESOURCE_EXHAUSTED, details)));
    const { reason } = await sender(url).send(BODY, 8);
    assert.match(reason ?? "", /had 8 spans in 9000 bytes: lower --batch-size/);
  });

  it("reads no more of a response than it needs", async () => {
    const { url } = await backend((reply) => reply(null, Buffer.alloc(20_000_000)));
    const { dropped, reason } = await sender(url).send(BODY, 8);
    assert.equal(dropped, 8);
    assert.match(reason ?? "", /RESOURCE_EXHAUSTED.*larger than/);
  });
});

describe("a gRPC server that is not there", () => {
  it("gets its time and no more, and the next attempt comes over a new connection", async () => {
    const { url, peers } = await backend((reply, count) => {
      if (count > 1) reply(null, Buffer.alloc(0));
    });
    const one = sender(url, { timeoutMs: 300 });
    assert.equal((await one.send(BODY, 3)).accepted, 3);
    assert.match(one.lines[0], /too slow: no answer within 300 ms; see --timeout; retrying/);
    for (const peer of peers) assert.match(peer, /127\.0\.0\.1:\d+$/);
    assert.equal(new Set(peers).size, 2);
    const silent = await listen(net.createServer((socket) => void socket.resume()));
    for (const scheme of ["http", "https"]) {
      assert.match(
        await complaint(`${scheme}://${silent}`, { timeoutMs: 60 }),
        /does not accept gRPC connections \(none within 60 ms\)/,
      );
    }
  });

  it("is said, and gets everything when it is there, goes away and comes back", async () => {
    const first = await backend();
    const one = sender(first.url);
    assert.equal((await one.send(BODY, 4)).accepted, 4);
    first.stop();
    const sending = [one.send(BODY, 4), one.send(BODY, 5)];
    await until("six attempts have failed", () => one.state.failures >= 6);
    assert.equal(one.state.ok, false);
    assert.match(one.lines.join("\n"), /nothing listens at 127\.0\.0\.1:\d+ .*; retrying/);
    const second = await backend(undefined, { port: first.port });
    const outcomes = await Promise.all(sending);
    assert.deepEqual(outcomes.map(({ accepted }) => accepted), [4, 5]);
    assert.equal(second.calls.length, 2);
    assert.match(one.lines.at(-1) ?? "", /takes spans again/);
    assert.equal((await one.send(BODY, 6)).accepted, 6);
  });

  it("sends again what a connection was cut under", async () => {
    const { port, calls } = await backend((reply, count) => {
      if (count > 1) reply(null, Buffer.alloc(0));
      else for (const cut of cuts) cut();
    });
    const cuts: (() => void)[] = [];
    const between = net.createServer((socket) => {
      const there = net.connect(port, "127.0.0.1");
      there.on("error", () => {});
      socket.pipe(there).pipe(socket);
      cuts.push(() => socket.resetAndDestroy());
    });
    const one = sender(`http://${await listen(between)}`);
    assert.equal((await one.send(BODY, 3)).accepted, 3);
    assert.equal(calls.length, 2);
    assert.match(one.lines[0], /UNAVAILABLE.*retrying/);
  });

  it("is given up after the time that was given", async () => {
    const { url } = await backend((reply) => reply(failure(grpc.status.UNAVAILABLE, "down")));
    const { dropped, gaveUp, reason } = await sender(url, { maxElapsedMs: 150 }).send(BODY, 6);
    assert.deepEqual([dropped, gaveUp], [6, true]);
    assert.match(reason ?? "", /given up after .*attempts: .*gRPC UNAVAILABLE; "down"/);
  });

  it("is left at once when that is asked for, in a wait and in a call", async () => {
    const cut: Promise<unknown>[] = [];
    const { url, calls } = await backend((reply, count, call) => {
      if (count === 1) reply(failure(grpc.status.UNAVAILABLE, "x", retryInfo(600_000)));
      else cut.push(new Promise((done) => call.on("cancelled", done)));
    });
    const waiting = sender(url);
    const first = waiting.send(BODY, 1);
    await until("something is said", () => waiting.lines.length > 0);
    waiting.abort("the end");
    assert.equal((await first).reason, "the end");
    const asking = sender(url);
    const second = asking.send(BODY, 2);
    await until("there is a second call", () => calls.length >= 2);
    asking.abort("the end");
    const { dropped, gaveUp, reason } = await second;
    assert.deepEqual([dropped, gaveUp, reason], [2, true, "the end"]);
    assert.deepEqual(asking.lines, []);
    assert.equal((await asking.send(BODY, 3)).dropped, 3);
    await Promise.all(cut);
    const closing = sender(url);
    const third = closing.send(BODY, 3);
    await closing.close();
    assert.equal((await third).gaveUp, true);
  });

  it("is named when its name does not exist", async () => {
    assert.match(
      await complaint("http://nothing.invalid:4317"),
      /the name "nothing\.invalid" can't be looked up/,
    );
  });
});

describe("gRPC to what is none", () => {
  const HINT = /looks like an OTLP\/HTTP port \(usually 4318\).*gRPC is usually on port 4317/;

  it("knows the OTLP/HTTP port, with TLS and without", async () => {
    const plain = await listen(http.createServer((_, response) => void response.end()));
    assert.match(await complaint(`http://${plain}`), HINT);
    const keys = { cert: CERTIFICATE, key: KEY };
    const secured = await listen(https.createServer(keys, (_, response) => void response.end()));
    const url = `https://${secured.replace("127.0.0.1", "localhost")}`;
    assert.match(await complaint(url, { tls: trusting }), HINT);
  });

  it("says that a connection is closed without an answer", async () => {
    const closing = await listen(net.createServer((socket) => void socket.end()));
    assert.match(await complaint(`http://${closing}`), /closed the connection without an answer/);
  });

  it("is what OTLP/HTTP says at the gRPC port, too", async () => {
    const { url } = await backend();
    const said = await complaint(`${url}/v1/traces`, { protocol: "http/protobuf" });
    assert.match(said, /looks like the gRPC port.*--protocol grpc/);
  });
});
