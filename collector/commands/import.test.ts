import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { gzipSync } from "node:zlib";
import { ExportTraceServiceRequestSchema } from "../../proto/gen/otlp_pb.ts";
import { type Sink, startSink } from "../../tests/peers/sink.ts";
import { spansOf } from "../../tests/support/collect.ts";
import { observe, type Observed } from "../../tests/support/collector.ts";
import { ownRuntime } from "../../tests/support/runtimes.ts";
import { command, requestsOf, startWriter } from "../../tests/support/steady.ts";
import { folders } from "../testing/run.ts";

const folder = folders("import");

const span = (name: string): unknown => ({
  traceId: "0af7651916cd43dd8448eb211c80319c",
  spanId: "b7ad6b7169203331",
  name,
});
const request = (...names: string[]): string =>
  JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: names.map(span) }] }] });

function names(sink: Sink): string[] {
  return sink.bodies
    .flatMap((body) => spansOf(fromBinary(ExportTraceServiceRequestSchema, body)))
    .map((each) => each.span.name).sort();
}

const hex = (bodies: Uint8Array[]): string[] =>
  bodies.map((body) => Buffer.from(body).toString("hex")).sort();

describe("import", () => {
  it("sends the requests that export wrote", async () => {
    const directory = folder();
    const writer = await startWriter(directory, 100);
    const sink = await startSink();
    try {
      const { out } = await command(["export", directory, "--batch-size", "30"]);
      const exported = requestsOf(out);
      assert.ok(exported.traces.length > 5);
      const { code, err } = await command(
        ["import", "--endpoint", sink.url, "--compression", "gzip"],
        { input: out },
      );
      assert.equal(code, 0, err);
      assert.deepEqual(hex(sink.bodies), hex(exported.traces));
      assert.deepEqual(hex(sink.metrics), hex(exported.metrics));
      assert.deepEqual(hex(sink.logs), hex(exported.logs));
      assert.match(err, /spans: 201 delivered, 0 refused by the backend, 0 dropped/);
    } finally {
      await writer.stop("SIGKILL");
      await sink.stop();
    }
  });

  it("names bad lines, counts them, and sends the others", async () => {
    const file = join(folder(), "lines.json");
    writeFileSync(
      file,
      [request("a"), "garbage", '{"resourceFoos":[]}', request("b"), `[${request("c")}]`].join(
        "\n",
      ),
    );
    const sink = await startSink();
    try {
      const { code, err } = await command(["import", file, "--endpoint", sink.url]);
      assert.equal(code, 1);
      assert.deepEqual(names(sink), ["a", "b"]);
      assert.match(err, /lines\.json:2: /);
      assert.match(err, /lines\.json:3: it is no OTLP request: .*resourceSpans/);
      assert.match(err, /lines\.json:5: it is no OTLP request/);
      assert.match(err, /2 requests read, 3 bad lines/);
    } finally {
      await sink.stop();
    }
  });

  it("says what else to do with a file that an application writes", async () => {
    const directory = folder();
    const writer = await startWriter(directory, 10);
    await writer.stop("SIGKILL");
    const { code, err, out } = await command(["import", writer.file, "-"], { input: request("a") });
    assert.equal(code, 1);
    assert.match(err, /\.otlp:1: it is no text, .*`otlp-mmap collect --once`$/m);
    assert.match(err, /1 request read, 1 bad line$/m);
    assert.match(out, /^\S+ .* a /);
  });

  it("reads packed files, documents over several lines, and - with them", async () => {
    const directory = folder();
    const packed = join(directory, "lines.json.gz");
    const pretty = join(directory, "pretty.json");
    writeFileSync(packed, gzipSync(`${request("a")}\n${request("b")}\n`));
    writeFileSync(pretty, JSON.stringify(JSON.parse(request("c")), null, 2));
    const sink = await startSink();
    try {
      const args = ["import", packed, pretty, "-", "--endpoint", sink.url];
      const { code, err } = await command(args, { input: request("d") });
      assert.equal(code, 0, err);
      assert.deepEqual(names(sink), ["a", "b", "c", "d"]);
    } finally {
      await sink.stop();
    }
  });

  it("parts requests that are larger than a batch", async () => {
    const sink = await startSink();
    try {
      const all = Array.from({ length: 25 }, (_, i) => `span ${i}`);
      const args = ["import", "--batch-size", "10", "--endpoint", sink.url];
      const { code } = await command(args, { input: request(...all) });
      assert.equal(code, 0);
      assert.equal(sink.bodies.length, 3);
      assert.deepEqual(names(sink), all.sort());
    } finally {
      await sink.stop();
    }
  });

  it("prints without an endpoint", async () => {
    const { code, out } = await command(["import"], { input: request("printed") });
    assert.equal(code, 0);
    assert.match(out, /printed .* trace=0af7651916cd43dd8448eb211c80319c/);
  });

  it("ends with 1 when something is refused, with 2 for a file that is not there", async () => {
    const sink = await startSink({ statuses: { traces: 400 } });
    try {
      const args = ["import", "--endpoint", sink.url];
      const refused = await command(args, { input: request("a") });
      assert.equal(refused.code, 1, refused.err);
      assert.match(refused.err, /spans: 0 delivered, 0 refused by the backend, 1 dropped/);
      const missing = await command([...args, join(folder(), "none.json")]);
      assert.equal(missing.code, 2);
      assert.match(missing.err, /none\.json can't be read: there is no such file/);
    } finally {
      await sink.stop();
    }
  });

  describe("that is to end while the backend is away", () => {
    const log = '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"a"}}]}]}]}';

    /** Runs until the log record is delivered, and the backend has refused a span. */
    async function importing(body: (running: Observed) => Promise<void>): Promise<void> {
      const file = join(folder(), "lines.json");
      writeFileSync(file, [log, ...Array.from({ length: 50 }, () => request("a"))].join("\n"));
      const sink = await startSink({ statuses: { traces: 503 } });
      const args = ["import", file, file, "--endpoint", sink.url];
      const running = observe(ownRuntime, "collector/main.ts", args);
      try {
        await sink.received(1, 20_000, "logs");
        await running.wrote(/retrying/);
        await body(running);
      } finally {
        await running.stop("SIGKILL");
        await sink.stop();
      }
    }

    it("says what it has sent, and how far it has read", async () => {
      await importing(async (running) => {
        assert.equal((await running.stop("SIGINT")).code, 130);
        const text = running.text();
        assert.match(text, /log records: 1 delivered, 0 refused by the backend, 0 dropped/);
        const dropped = /spans: 0 delivered, 0 refused by the backend, (\d+) dropped/.exec(text);
        const count = Number(dropped?.[1]);
        assert.ok(count > 0 && count < 50, text);
        const line = new RegExp(`what follows line ${count + 1}, and 1 more file$`, "m");
        assert.match(text, line);
      });
    });

    it("ends at once with the second signal", async () => {
      await importing(async (running) => {
        process.kill(running.child.pid!, "SIGTERM");
        await running.wrote(/SIGTERM: ends when/);
        assert.equal((await running.stop("SIGTERM")).code, 143);
        assert.doesNotMatch(running.text(), /dropped/);
      });
    });
  });

  it("has examples and exit codes in its help", async () => {
    const { code, out } = await command(["import", "--help"]);
    assert.equal(code, 0);
    assert.match(out, /Examples:\n {2}otlp-mmap import/);
    assert.match(out, /Exit codes:\n {2}0/);
  });
});
