/**
 * CPU and memory of the collector while a writer in another process keeps its file full: spans with
 * five attributes, one late attribute and an end, sent to a local sink that counts them.
 *
 *     deno run -A bench/collector.ts [--spans 5000000] [--runtime deno|bun|both]
 *
 * @module
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Writer } from "../lib/writer.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const RUNTIMES = {
  // As the task `collect` runs it: V8 would let its young generation grow to 32 MiB.
  deno: ["deno", "run", "-A", "--v8-flags=--max-semi-space-size=2"],
  bun: [join(ROOT, "node_modules/.bin/bun")],
} as const;
type RuntimeName = keyof typeof RUNTIMES;

if ("Deno" in globalThis) (RUNTIMES.deno as unknown as string[])[0] = process.execPath;

// ------------------------------------------------------------------------------------------ roles

/** Writes `count` spans as fast as the ring takes them, and waits until all are taken. */
async function write(path: string, count: number): Promise<void> {
  const writer = Writer.create(path, {
    resource: { "service.name": "bench" },
    spans: { slots: 16_384, slotBytes: 512 },
  });
  const scope = writer.scope({ name: "bench", version: "1.0.0" });
  const pause = new Int32Array(new SharedArrayBuffer(4));
  const wait = (): void => {
    Atomics.wait(pause, 0, 0, 1);
  };
  for (let i = 0; i < count; i++) {
    let span = scope.startSpan("GET /items/{id}", {
      kind: "server",
      attributes: {
        "http.request.method": "GET",
        "url.path": "/items/12345",
        "http.response.status_code": 200,
        "server.address": "localhost",
        "user.id": "user-12345",
      },
    });
    while (span.started !== "written") {
      wait();
      span = scope.startSpan("GET /items/{id}", {
        kind: "server",
        attributes: {
          "http.request.method": "GET",
          "url.path": "/items/12345",
          "http.response.status_code": 200,
          "server.address": "localhost",
          "user.id": "user-12345",
        },
      });
    }
    while (span.setAttributes({ "cache.hit": "late value" }) === "ring_full") wait();
    while (span.end() === "ring_full") wait();
  }
  while (!writer.drained) wait();
  writer.close();
}

/** Answers every request with success, and tells how many spans there were when it is asked. */
function sink(): void {
  let spans = 0;
  let requests = 0;
  const answer =
    "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
  const server = createServer((socket: Socket) => {
    let chunks: Uint8Array[] = [];
    let bytes = 0;
    let need = -1;
    socket.setNoDelay(true);
    socket.on("error", () => {});
    socket.on("data", (chunk: Uint8Array) => {
      chunks.push(chunk);
      bytes += chunk.length;
      if (need < 0) {
        const text = new TextDecoder("latin1").decode(join2(chunks));
        const end = text.indexOf("\r\n\r\n");
        if (end < 0) return;
        need = end + 4 + Number(/content-length: *(\d+)/i.exec(text)?.[1] ?? 0);
      }
      if (bytes < need) return;
      const request = join2(chunks);
      const head = new TextDecoder("latin1").decode(request.subarray(0, 4096)).indexOf("\r\n\r\n");
      spans += countSpans(request.subarray(head + 4, need));
      requests++;
      chunks = [];
      bytes = 0;
      need = -1;
      socket.write(answer);
    });
  });
  server.listen(0, "127.0.0.1", () => {
    process.stdout.write(`${(server.address() as { port: number }).port}\n`);
  });
  process.stdin.on("data", () => process.stdout.write(`${spans} ${requests}\n`));
  process.stdin.on("end", () => process.exit(0));
}

function join2(chunks: Uint8Array[]): Uint8Array {
  if (chunks.length === 1) return chunks[0];
  const all = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

/** Walks ExportTraceServiceRequest, ResourceSpans, ScopeSpans: fields 1, 2, 2. */
function countSpans(bytes: Uint8Array): number {
  const fields = [1, 2, 2];
  function walk(start: number, end: number, depth: number): number {
    let count = 0;
    let at = start;
    const varint = (): number => {
      let value = 0;
      for (let shift = 0;; shift += 7) {
        const byte = bytes[at++];
        value |= (byte & 0x7f) << shift;
        if (byte < 0x80) return value;
      }
    };
    while (at < end) {
      const tag = varint();
      if ((tag & 7) !== 2) throw new Error(`unexpected wire type ${tag & 7}`);
      const length = varint();
      if (tag >> 3 === fields[depth]) {
        count += depth === 2 ? 1 : walk(at, at + length, depth + 1);
      }
      at += length;
    }
    if (at !== end) throw new Error("a message reaches beyond its end");
    return count;
  }
  return walk(0, bytes.length, 0);
}

// ------------------------------------------------------------------------------------- measurement

/** CPU seconds and resident bytes of a process. */
function usage(pid: number): { cpu: number; rss: number } {
  if (process.platform === "linux") {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1].split(" ");
    const pages = readFileSync(`/proc/${pid}/statm`, "latin1").split(" ")[1];
    return { cpu: (Number(stat[11]) + Number(stat[12])) / 100, rss: Number(pages) * 4096 };
  }
  const [time, rss] = execFileSync("ps", ["-o", "time=,rss=", "-p", String(pid)], {
    encoding: "utf8",
  }).trim().split(/\s+/);
  const cpu = time.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
  return { cpu, rss: Number(rss) * 1024 };
}

function start(runtime: RuntimeName, args: string[]): ChildProcess {
  const [command, ...before] = RUNTIMES[runtime];
  return spawn(command, [...before, ...args], { stdio: ["pipe", "pipe", "inherit"] });
}

function line(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.stdout!.once(
      "data",
      (data: Uint8Array) => resolve(new TextDecoder().decode(data).trim()),
    );
  });
}

function exit(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => child.once("exit", () => resolve()));
}

async function measure(runtime: RuntimeName, total: number): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-bench-"));
  const self = fileURLToPath(import.meta.url);
  const children: ChildProcess[] = [];
  try {
    const receiver = start("bun", [self, "--role", "sink"]);
    children.push(receiver);
    const port = await line(receiver);
    const collector = start(runtime, [
      join(ROOT, "collector/main.ts"),
      "collect",
      directory,
      "--endpoint",
      `http://127.0.0.1:${port}`,
      "--compression",
      "none",
    ]);
    children.push(collector);
    const counted = async (): Promise<number> => {
      receiver.stdin!.write("?");
      return Number((await line(receiver)).split(" ")[0]);
    };
    const report = (what: string, spans: number, cpu: number, rss: number, seconds: number): void =>
      console.log(
        `${runtime.padEnd(5)} ${what.padEnd(22)} ${
          (cpu / spans * 1e6).toFixed(2)
        } us CPU a span, ` +
          `${Math.round(spans / seconds / 1000)}k spans/s, resident ${
            (rss / 2 ** 20).toFixed(0)
          } MiB`,
      );
    const resident: number[] = [];
    let done = 0;
    let before = usage(collector.pid!);
    for (const [index, share] of [1, 4].entries()) {
      const spans = Math.round(total * share / 5);
      const file = join(directory, `${index}.otlp`);
      const began = performance.now();
      const writer = start("bun", [
        self,
        "--role",
        "writer",
        "--file",
        file,
        "--spans",
        `${spans}`,
      ]);
      children.push(writer);
      // Garbage comes and goes: the middle of what was seen in the last half of the run.
      const samples: number[] = [];
      const timer = setInterval(() => samples.push(usage(collector.pid!).rss), 100);
      await exit(writer);
      clearInterval(timer);
      const last = samples.slice(samples.length >> 1).sort((a, b) => a - b);
      resident.push(last[last.length >> 1] ?? usage(collector.pid!).rss);
      done += spans;
      for (let i = 0; i < 100 && await counted() < done; i++) {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      const seconds = (performance.now() - began) / 1000;
      const now = usage(collector.pid!);
      report(`${spans} spans`, spans, now.cpu - before.cpu, resident[index], seconds);
      before = now;
    }
    const ratio = (resident[1] / resident[0]).toFixed(2);
    console.log(`${runtime.padEnd(5)} resident after all / after the first fifth: ${ratio}`);
    const received = await counted();
    console.log(`${runtime.padEnd(5)} written ${done}, received ${received}`);
    if (received !== done) process.exitCode = 1;
    await new Promise((resolve) => setTimeout(resolve, 2000));
    const idle = usage(collector.pid!);
    await new Promise((resolve) => setTimeout(resolve, 10_000));
    const later = usage(collector.pid!);
    console.log(
      `${runtime.padEnd(5)} idle: ${((later.cpu - idle.cpu) * 10).toFixed(1)} % of a core`,
    );
    collector.kill("SIGTERM");
    await exit(collector);
  } finally {
    for (const child of children) child.kill("SIGKILL");
    rmSync(directory, { recursive: true, force: true });
  }
}

const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    role: { type: "string" },
    file: { type: "string", default: "" },
    spans: { type: "string", default: "5000000" },
    runtime: { type: "string", default: "both" },
  },
});
if (values.role === "sink") {
  sink();
} else if (values.role === "writer") {
  await write(values.file, Number(values.spans));
} else {
  console.log("collector with a file kept full; CPU is user + system of the collector process");
  for (const runtime of ["deno", "bun"] as const) {
    if (values.runtime === "both" || values.runtime === runtime) {
      await measure(runtime, Number(values.spans));
    }
  }
}
