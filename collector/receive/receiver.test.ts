/** A collector that receives, as its users run it. */
import { fromBinary } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { RpcStatusSchema } from "../../proto/gen/otlp_pb.ts";
import { startBackend } from "../../tests/support/backend.ts";
import { startSink } from "../../tests/peers/sink.ts";
import { receivedBy, startCollector } from "../../tests/support/collector.ts";
import { startReceiving } from "../../tests/support/received.ts";
import { EVERYTHING } from "../testing/requests.ts";

const folder = mkdtempSync(join(tmpdir(), "otlp-mmap-receiver-"));
after(() => rmSync(folder, { recursive: true }));

const { traces } = EVERYTHING;

function post(
  url: string,
  body: Uint8Array,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(`${url}/v1/traces`, {
    method: "POST",
    headers: { "content-type": "application/x-protobuf", ...headers },
    body: new Uint8Array(body),
  });
}

/** What a figure says at `/metrics`, by its labels. */
async function figure(text: string, name: string): Promise<Record<string, number>> {
  const [, url] = /health is served at (http:\S+)\/healthz/.exec(text)!;
  const page = await (await fetch(`${url}/metrics`)).text();
  return Object.fromEntries(
    [...page.matchAll(new RegExp(`^${name}(?:\\{([^}]*)\\})? (\\S+)$`, "gm"))]
      .map(([, labels = "", value]) => [labels, Number(value)]),
  );
}

describe("collect --otlp-receiver", () => {
  it("has senders come again while the backend is away, and loses nothing it took", async () => {
    const backend = await startBackend();
    backend.away = true;
    const collector = await startReceiving([folder, "--endpoint", backend.url]);
    try {
      // Let in, since it is with it that the backend is tried.
      const first = post(collector.httpUrl, traces.body);
      await collector.wrote(/HTTP 503/);
      const second = await post(collector.httpUrl, traces.body);
      assert.deepEqual([second.status, second.headers.get("retry-after")], [503, "2"]);
      const status = fromBinary(RpcStatusSchema, new Uint8Array(await second.arrayBuffer()));
      assert.equal(status.message, "the backend takes no spans now");
      backend.away = false;
      await first;
      await collector.wrote(/takes spans again/);
      assert.equal((await post(collector.httpUrl, traces.body)).status, 200);
      assert.equal(receivedBy({ bodies: backend.bodies.traces }).length, 4);
      assert.equal((await collector.stop()).code, 0, collector.text());
    } finally {
      await collector.stop("SIGKILL");
      await backend.stop();
    }
  });

  it("samples what comes with all else, and answers before it is decided", async () => {
    const config = join(folder, "c.yaml");
    writeFileSync(config, "tail_sampling: {decision_wait: 1m, keep_errors: true}\n");
    const sink = await startSink();
    const collector = await startReceiving(
      [folder, "--endpoint", sink.url, "--config", config],
    );
    try {
      assert.equal((await post(collector.httpUrl, traces.body)).status, 200);
      assert.equal(sink.bodies.length, 0);
      // At the end nothing is held back.
      assert.equal((await collector.stop()).code, 0, collector.text());
      assert.deepEqual(receivedBy(sink).map(({ span }) => span.name), ["GET /é", "root"]);
    } finally {
      await collector.stop("SIGKILL");
      await sink.stop();
    }
  });

  it("keeps its memory bounded whatever is thrown at it, and counts it", async () => {
    const sink = await startSink();
    const collector = await startReceiving([folder, "--endpoint", sink.url, "--health", "0"]);
    try {
      const bomb = gzipSync(new Uint8Array(512 << 20));
      const large = new Uint8Array(17 << 20);
      const deep = new TextEncoder().encode("[".repeat(1 << 20));
      const gzip = { "content-encoding": "gzip" };
      const json = { "content-type": "application/json" };
      for (let round = 0; round < 5; round++) {
        const answers = await Promise.all([
          ...Array.from({ length: 8 }, () => post(collector.httpUrl, bomb, gzip)),
          ...Array.from({ length: 4 }, () => post(collector.httpUrl, large)),
          ...Array.from({ length: 4 }, () => post(collector.httpUrl, deep, json)),
        ]);
        const statuses = answers.map(({ status }) => status);
        await Promise.all(answers.map((answer) => answer.arrayBuffer()));
        assert.ok(statuses.every((status) => status === 413 || status === 503), `${statuses}`);
      }
      assert.equal((await post(collector.httpUrl, traces.body)).status, 200);
      const text = collector.text();
      const refused = await figure(text, "otlp_mmap_receiver_refused_total");
      assert.ok(
        Object.entries(refused).some(([labels, count]) =>
          labels.includes('"too_large"') && labels.includes('"http"') && count > 0
        ),
        JSON.stringify(refused),
      );
      const items = await figure(text, "otlp_mmap_receiver_items_total");
      assert.equal(Object.values(items).reduce((sum, count) => sum + count), 2);
      const memory = await figure(text, "otlp_mmap_process_resident_memory_bytes");
      assert.ok(memory[""] < 600 << 20, `${memory[""]}`);
    } finally {
      await collector.stop("SIGKILL");
      await sink.stop();
    }
  });

  it("answers what it took before it ends, and takes no more", async () => {
    const sink = await startSink();
    const collector = await startReceiving([folder, "--endpoint", sink.url]);
    try {
      let taken = 0;
      const senders = Array.from({ length: 8 }, async () => {
        for (;;) {
          const answer = await post(collector.httpUrl, traces.body).catch(() => undefined);
          if (answer?.status !== 200) return;
          taken++;
        }
      });
      await sleep(300);
      assert.equal((await collector.stop()).code, 0, collector.text());
      await Promise.all(senders);
      assert.ok(taken > 0);
      assert.equal(sink.bodies.length, taken);
    } finally {
      await collector.stop("SIGKILL");
      await sink.stop();
    }
  });

  it("does not start where it would receive what it sends, or where it makes no sense", async () => {
    const cases: [string[], RegExp][] = [
      [
        ["--otlp-receiver", "--endpoint", "http://localhost:4318"],
        /the endpoint http:\/\/localhost:4318\S* is this receiver/,
      ],
      [
        ["--otlp-receiver", "--protocol", "grpc", "--endpoint", "http://127.0.0.1:4317"],
        /the endpoint http:\/\/127.0.0.1:4317\S* is this receiver/,
      ],
      [["--otlp-receiver", "--once"], /--otlp-receiver and --once exclude each other/],
      [["--otlp-receiver", "--otlp-grpc-port", "4318"], /HTTP and gRPC can't share port 4318/],
      [["--otlp-receiver", "app.otlp"], /It is no address such as 127.0.0.1/],
      [["--otlp-receiver", "--otlp-http-port", "65536"], /It is no port from 0 to 65535/],
      [["--otlp-receiver", "--otlp-allow-origin", "shop.example"], /It is no origin such as/],
      [["--otlp-receiver", "--otlp-allow-origin", "http://a/b"], /It is no origin such as/],
    ];
    for (const [args, message] of cases) {
      const collector = startCollector([folder, ...args]);
      assert.equal((await collector.ended).code, 2, collector.text());
      assert.match(collector.text(), message);
    }
  });

  it("is turned on and off in a configuration file", async () => {
    const config = join(folder, "receiver.yaml");
    const ports = "otlp_http_port: 0, otlp_grpc_port: 0";
    writeFileSync(
      config,
      `collect: {otlp_receiver: "::1", ${ports}, paths: ["${folder}"], print: true}\n`,
    );
    const collector = startCollector(["--config", config]);
    try {
      await collector.wrote(/OTLP\/gRPC is received at (\S+)\n/);
      const [, url] = /OTLP\/HTTP is received at (http:\/\/\[::1\]:\d+)\n/.exec(collector.text())!;
      assert.equal((await post(url, traces.body)).status, 200);
      await collector.wrote(/GET \/é/);
      assert.equal((await collector.stop()).code, 0);
    } finally {
      await collector.stop("SIGKILL");
    }
    writeFileSync(
      config,
      `collect: {otlp_receiver: false, paths: ["${folder}"], print: true, health: 0}\n`,
    );
    const other = startCollector(["--config", config]);
    try {
      await other.wrote(/health is served/);
      assert.equal((await other.stop()).code, 0);
      assert.doesNotMatch(other.text(), /is received/);
    } finally {
      await other.stop("SIGKILL");
    }
  });
});
