/**
 * rotel, an OTLP receiver made elsewhere, for tests that send to it.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { type AddressInfo, createServer } from "node:net";
import type { Signal } from "../../lib/otlp/request.ts";
import { type Peer, peer } from "./peer.ts";

/** From OTLP_MMAP_ROTEL: its executable, or why there is none, as the reason of a skipped test. */
export const rotel: Peer = peer("OTLP_MMAP_ROTEL", "the executable of rotel");

/** A running rotel. */
export type Rotel = {
  /** Base URL for OTLP over HTTP, without a slash at the end. */
  http: string;
  /** Base URL for OTLP over gRPC. */
  grpc: string;
  /** What it printed so far. */
  output: () => string;
  /** Spans, data points or log records it says it has received. */
  count: () => number;
  /** Resolves once it has printed the text; rejects with all it printed when that takes too long (ms). */
  printed: (text: string | RegExp, timeout?: number) => Promise<void>;
  /** Resolves once it has received that many spans; rejects as `printed` does. */
  received: (count: number, timeout?: number) => Promise<void>;
  /** Ends it. */
  stop: () => Promise<void>;
};

/** How to run it. */
export type RotelOptions = {
  /** Base URL that it forwards to, as OTLP over HTTP with gzip; without one it forgets what it received. */
  forwardTo?: string;
  /** The signal that it prints and counts. Default traces. */
  signal?: Signal;
  /** `detailed` prints every field of every span, `basic` only how many items came. */
  verbosity?: "basic" | "detailed";
};

const START_TIMEOUT = 15_000;

/**
 * Starts it on two free ports and waits until it answers.
 *
 * @throws {Error} when there is none, or it does not start; with what it printed
 */
export async function startRotel(options: RotelOptions = {}): Promise<Rotel> {
  let failure: unknown;
  // Between finding a free port and rotel listening there, somebody else may take it.
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      return await start(options);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

async function start(options: RotelOptions): Promise<Rotel> {
  const { forwardTo, signal = "traces", verbosity = "detailed" } = options;
  if (rotel.path === undefined) throw new Error(rotel.missing);
  const [httpPort, grpcPort] = [await freePort(), await freePort()];
  const exporter = forwardTo === undefined ? ["--exporter", "blackhole"] : [
    ...["--exporter", "otlp", "--otlp-exporter-protocol", "http"],
    ...["--otlp-exporter-endpoint", forwardTo, "--batch-timeout", "50ms"],
  ];
  const child = spawn(rotel.path, [
    ...["start", "--log-format", "json"],
    ...["--otlp-grpc-endpoint", `127.0.0.1:${grpcPort}`],
    ...["--otlp-http-endpoint", `127.0.0.1:${httpPort}`],
    ...exporter,
    ...["--debug-log", signal, "--debug-log-verbosity", verbosity],
  ], { stdio: ["ignore", "pipe", "pipe"] });

  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => output += text);
  child.stderr.setEncoding("utf8").on("data", (text: string) => output += text);
  let ended = false;
  child.on("error", (error) => {
    output += String(error);
    ended = true;
  });
  child.on("exit", () => ended = true);

  const until = async (done: () => boolean | Promise<boolean>, timeout: number, what: string) => {
    for (const deadline = Date.now() + timeout; !(await done());) {
      if (ended || Date.now() > deadline) {
        throw new Error(`rotel ${ended ? "ended" : "took too long"} ${what}:\n${output}`);
      }
      await new Promise((wake) => setTimeout(wake, 20));
    }
  };
  const http = `http://127.0.0.1:${httpPort}`;
  const count = (): number => countItems(output, signal);
  try {
    await until(() => answers(http), START_TIMEOUT, "before it answered");
  } catch (error) {
    await stop(child);
    throw error;
  }
  return {
    http,
    grpc: `http://127.0.0.1:${grpcPort}`,
    output: () => output,
    count,
    printed: (text, timeout = 10_000) =>
      until(
        () => typeof text === "string" ? output.includes(text) : text.test(output),
        timeout,
        `before it printed ${text}`,
      ),
    received: (wanted, timeout = 10_000) =>
      until(() => count() >= wanted, timeout, `before it had received ${wanted} of ${signal}`),
    stop: () => stop(child),
  };
}

/** What it calls the number of items that came, spans, data points or log records. */
const COUNTED: Record<Signal, string> = { traces: "spans", metrics: "metrics", logs: "logs" };

function countItems(output: string, signal: Signal): number {
  let items = signal === "traces" ? output.match(/^Span #\d+/gm)?.length ?? 0 : 0;
  const line = new RegExp(`"Received ${signal}\\."[^}]*"${COUNTED[signal]}":(\\d+)`, "g");
  for (const [, count] of output.matchAll(line)) items += Number(count);
  return items;
}

async function answers(http: string): Promise<boolean> {
  try {
    const response = await fetch(`${http}/v1/traces`, {
      method: "POST",
      headers: { "content-type": "application/x-protobuf" },
      body: new Uint8Array(),
    });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}

/** A port of this machine that nobody listens at just now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((done) => child.on("exit", done));
  child.kill("SIGTERM");
  // It waits for its exporters when what it forwards to is gone.
  const timer = setTimeout(() => child.kill("SIGKILL"), 2_000);
  await exit;
  clearTimeout(timer);
}
