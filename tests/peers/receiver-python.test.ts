/** A Python program with OpenTelemetry's exporters sends to a collector: everything arrives. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { ROOT } from "../../tools/runtimes.ts";
import { assertArrived, parseRequests, startReceiving } from "../support/received.ts";
import { python } from "./python.ts";
import { startSink } from "./sink.ts";

/** Runs the program to its end; what it printed. */
function exportWith(protocol: string, env: Record<string, string>): Promise<string> {
  return new Promise((resolve, reject) => {
    const program = join(ROOT, "tests/testdata/exporting.py");
    const child = spawn(python.path!, [program, protocol], {
      env: { ...process.env, PYTHONIOENCODING: "utf-8", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    let errors = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => output += text);
    child.stderr.setEncoding("utf8").on("data", (text: string) => errors += text);
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve(output);
      else reject(new Error(`it ended with ${code}: ${errors}`));
    });
  });
}

describe("OpenTelemetry's exporters in Python", { skip: python.missing ?? false }, () => {
  for (const protocol of ["http", "grpc"]) {
    for (const compression of ["none", "gzip"]) {
      it(`send to a collector: ${protocol}, ${compression}`, async () => {
        const folder = mkdtempSync(join(tmpdir(), "otlp-mmap-python-"));
        const sink = await startSink();
        const collector = await startReceiving([folder, "--endpoint", sink.url]);
        try {
          const sent = parseRequests(
            await exportWith(protocol, {
              OTEL_EXPORTER_OTLP_ENDPOINT: protocol === "grpc"
                ? `http://${collector.grpcAddress}`
                : collector.httpUrl,
              ...(compression === "none" ? {} : { OTEL_EXPORTER_OTLP_COMPRESSION: compression }),
            }),
          );
          assertArrived(sink, sent);
          // Nothing on the way has an opinion of its own about bytes.
          const bytes = (body: Uint8Array): Uint8Array => new Uint8Array(body);
          assert.deepEqual(sink.bodies.map(bytes), sent.traces);
          assert.equal((await collector.stop()).code, 0, collector.text());
        } finally {
          await collector.stop("SIGKILL");
          await sink.stop();
          rmSync(folder, { recursive: true });
        }
      });
    }
  }
});
