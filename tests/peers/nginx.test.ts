/**
 * nginx, which wants client certificates, between the collector and rotel: everything arrives over
 * HTTP and over gRPC, in halves where it wants small requests, and after it was gone for a while.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { until } from "../../collector/testing/run.ts";
import {
  logsReceivedBy,
  metricsReceivedBy,
  observe,
  type Observed,
  plainAttributes,
  receivedBy,
} from "../support/collector.ts";
import { startProgram } from "../support/programs.ts";
import { ownRuntime } from "../support/runtimes.ts";
import { type Certificates, type Nginx, nginx, startNginx, writeCertificates } from "./nginx.ts";
import { type Rotel, rotel, startRotel } from "./rotel.ts";
import { type Sink, startSink } from "./sink.ts";

const COUNT = 500;
const missing = nginx.missing ?? rotel.missing;

/** What is tried over each protocol. */
function through(protocol: "http/protobuf" | "grpc"): void {
  let directory = "";
  let certificates: { server: Certificates; client: Certificates };
  let behind: Sink;
  let receiver: Rotel;
  let proxy: Nginx;
  let place = "";

  before(() => {
    directory = mkdtempSync(join(tmpdir(), "otlp-mmap-through-nginx-"));
    certificates = writeCertificates(directory);
  });
  after(() => rmSync(directory, { recursive: true }));
  beforeEach(async () => {
    place = mkdtempSync(join(directory, "place-"));
    behind = await startSink();
    receiver = await startRotel({ forwardTo: behind.url, verbosity: "basic" });
  });
  afterEach(async () => {
    await proxy.close();
    await receiver.stop();
    await behind.stop();
  });

  async function start(maxBodyBytes?: number): Promise<void> {
    const { http, grpc } = receiver;
    proxy = await startNginx({ certificates: certificates.server, http, grpc, maxBodyBytes });
  }

  function collect(shown: Certificates | null, ...args: string[]): Observed {
    const endpoint = protocol === "grpc" ? proxy.grpc : proxy.http;
    return observe(ownRuntime, "collector/main.ts", [
      ...["collect", place, "--endpoint", endpoint, "--protocol", protocol],
      ...args,
    ], {
      env: {
        OTEL_EXPORTER_OTLP_CERTIFICATE: certificates.client.ca,
        ...(shown === null ? {} : {
          OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: shown.cert,
          OTEL_EXPORTER_OTLP_CLIENT_KEY: shown.key,
        }),
      },
    });
  }

  async function record(): Promise<void> {
    const app = observe(ownRuntime, "tests/testdata/plain.ts", [place, `${COUNT}`]);
    assert.deepEqual(await app.ended, { code: 0, signal: null }, app.text());
  }

  /** Waits until so many spans and log records, and the metrics, are behind rotel. */
  async function arrived(count: number): Promise<void> {
    const distinct = (): number[] => [
      new Set(receivedBy(behind).map(({ span }) => span.name)).size,
      new Set(logsReceivedBy(behind).map(({ log }) => String(log.body?.value.value))).size,
    ];
    await until(
      `${count} spans and log records, and metrics, are behind rotel`,
      () => Math.min(...distinct()) >= count && metricsReceivedBy(behind).length > 0,
      { state: distinct },
    );
    assert.deepEqual(distinct(), [count, count]);
  }

  it("delivers everything, with a certificate", async () => {
    await start();
    await record();
    const collector = collect(certificates.client, "--once");
    assert.deepEqual(await collector.ended, { code: 0, signal: null }, collector.text());
    await arrived(COUNT);
    assert.equal(receivedBy(behind).length, COUNT, "none twice");
    const spans = new Map(receivedBy(behind).map(({ span }) => [span.name, span]));
    for (let i = 0; i < COUNT; i++) {
      assert.equal(plainAttributes(spans.get(`span ${i}`)!.attributes).i, BigInt(i));
    }
  });

  it("says what to do without one", async () => {
    await start();
    await record();
    const collector = collect(null);
    await collector.wrote(
      /client certificate: see OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_\w+_CLIENT_KEY/,
    );
    await collector.stop("SIGKILL");
  });

  it("loses nothing while nginx is gone", async () => {
    await start();
    const program = await startProgram("paced.ts", place);
    const collector = collect(certificates.client, "--flush-interval", "50ms");
    try {
      await program.ask({ seconds: 1 });
      await proxy.stop();
      await program.ask({ seconds: 2 });
      assert.match(collector.text(), /retrying/);
      await proxy.start();
      const count = await program.ask<number>({ seconds: 1 });
      await program.stop();
      await until("all is delivered", () => readdirSync(place).length === 0, {
        state: collector.text,
      });
      assert.deepEqual(await collector.stop(), { code: 0, signal: null });
      assert.match(collector.text(), new RegExp(`${count} delivered, 0 refused .*, 0 dropped`));
      await arrived(count);
    } finally {
      await program.stop("kill");
      await collector.stop("SIGKILL");
    }
  });

  // On Deno a client of gRPC does not get to know the status of a page: see collector/send/grpc-status.ts.
  if (protocol === "grpc" && ownRuntime === "deno") return;
  it("delivers everything where requests must be small", async () => {
    await start(8192);
    await record();
    const collector = collect(certificates.client, "--once");
    assert.deepEqual(await collector.ended, { code: 0, signal: null }, collector.text());
    assert.match(collector.text(), /HTTP (status code )?413.*sent again in halves/);
    await arrived(COUNT);
    assert.equal(receivedBy(behind).length, COUNT, "none twice");
    assert.ok(proxy.access().some((line) => / 413 \d+$/.test(line)), proxy.access().join("\n"));
  });
}

if (missing === undefined) {
  for (const protocol of ["http/protobuf", "grpc"] as const) {
    describe(`nginx in front, over ${protocol}`, () => through(protocol));
  }
} else {
  it("nginx in front of rotel", { skip: missing }, () => {});
}
