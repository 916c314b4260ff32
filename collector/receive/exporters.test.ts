/** The exporters of OpenTelemetry send to a collector, and what its backend gets is what they sent. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { startSink } from "../../tests/peers/sink.ts";
import { startCollector } from "../../tests/support/collector.ts";
import {
  assertArrived,
  parseRequests,
  type Requests,
  startReceiving,
} from "../../tests/support/received.ts";
import { ownRuntime, start } from "../../tests/support/runtimes.ts";
import { ROOT } from "../../tools/runtimes.ts";

const folder = mkdtempSync(join(tmpdir(), "otlp-mmap-exporters-"));
after(() => rmSync(folder, { recursive: true }));

/** Runs the program with exporters; what it says it has sent. */
async function exportWith(
  protocol: string,
  endpoint: string,
  compression: string,
): Promise<Requests> {
  const { output } = start(ownRuntime, join(ROOT, "tests/testdata/exporting.ts"), [protocol], {
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
      OTEL_EXPORTER_OTLP_COMPRESSION: compression,
    },
  });
  return parseRequests(await output);
}

describe("a receiving collector", () => {
  for (const protocol of ["proto", "json", "grpc"]) {
    for (const compression of ["none", "gzip"]) {
      it(`passes on all that exporters send: ${protocol}, ${compression}`, async () => {
        const sink = await startSink();
        const collector = await startReceiving([folder, "--endpoint", sink.url]);
        try {
          const endpoint = protocol === "grpc"
            ? `http://${collector.grpcAddress}`
            : collector.httpUrl;
          const sent = await exportWith(protocol, endpoint, compression);
          // They were answered, so it is there.
          assertArrived(sink, sent);
          assert.equal((await collector.stop()).code, 0, collector.text());
        } finally {
          await collector.stop("SIGKILL");
          await sink.stop();
        }
      });
    }
  }

  it("prints what comes where that is asked for", async () => {
    const collector = await startReceiving([folder, "--print"]);
    try {
      await exportWith("proto", collector.httpUrl, "gzip");
      await collector.wrote(/parent €𝄞/);
      await collector.wrote(/exponential/);
      await collector.wrote(/ERROR/);
    } finally {
      await collector.stop("SIGKILL");
    }
  });

  it("goes on without a port that another program has, and says which", async () => {
    const first = await startReceiving([folder, "--print"]);
    const { port } = new URL(first.httpUrl);
    const second = startCollector([
      ...[folder, "--print", "--otlp-http-port", port, "--otlp-grpc-port", "0", "--otlp-receiver"],
    ]);
    try {
      await second.wrote(
        new RegExp(
          `--otlp-http-port 127\\.0\\.0\\.1:${port}: another program listens there; choose another ` +
            "port, or 0 for one that is free. No OTLP/HTTP is received; all else goes on",
        ),
      );
      await second.wrote(/OTLP\/gRPC is received at (\S+)\n/);
      const [, address] = /OTLP\/gRPC is received at (\S+)\n/.exec(second.text())!;
      await exportWith("grpc", `http://${address}`, "none");
      await second.wrote(/parent €𝄞/);
      assert.equal((await second.stop()).code, 0);
    } finally {
      await second.stop("SIGKILL");
      await first.stop("SIGKILL");
    }
  });
});
