#!/usr/bin/env bun
/**
 * The `otlp-mmap` program.
 *
 * @module
 */
import process from "node:process";
import { runtime, userTempDirectory } from "../ffi/mod.ts";
import { discover } from "./discover.ts";
import { ArgumentsExit, type CollectOptions, parseArguments } from "./options.ts";
import { Pipeline } from "./pipeline.ts";
import { formatRequest, wantsColor } from "./print.ts";
import type { Sink } from "./queue.ts";
import { createSender } from "./send.ts";

type Level = "info" | "warn" | "error";

function log(level: Level, message: string): void {
  process.stderr.write(`otlp-mmap: ${level === "info" ? "" : `${level}: `}${message}\n`);
}

/** Prints one line a span instead of sending. */
function createPrinter(): Sink {
  const style = { color: wantsColor(process.stdout.isTTY, process.env) };
  return {
    send(body: Uint8Array, spans: number) {
      return new Promise((resolve) => {
        process.stdout.write(formatRequest(body, style), (error) => {
          resolve(
            error
              ? { accepted: 0, rejected: 0, dropped: spans, gaveUp: true, reason: error.message }
              : { accepted: spans, rejected: 0, dropped: 0 },
          );
        });
      });
    },
    abort(): void {},
    close: () => Promise.resolve(),
  };
}

function createSink(options: CollectOptions): Sink {
  if (options.url === undefined) return createPrinter();
  return createSender({
    url: options.url,
    headers: options.headers,
    compression: options.compression,
    timeoutMs: options.timeoutMs,
    tls: options.tls,
    maxElapsedMs: options.giveUpAfterMs,
    log,
  });
}

async function main(): Promise<number> {
  const options = parseArguments(process.argv.slice(2), process.env);
  if (!runtime.supported) {
    log("error", `files cannot be mapped here: ${runtime.reason}`);
    return 2;
  }
  const discovery = discover(options.paths, process.env, {
    log: options.once ? (): void => {} : log,
    places: { userTempDirectory },
  });
  const pipeline = new Pipeline({
    scan: discovery.scan,
    sink: createSink(options),
    batchSize: options.batchSize,
    flushIntervalMs: options.flushIntervalMs,
    once: options.once,
    keep: options.keep,
    log,
  });
  let signals = 0;
  for (const [signal, number] of [["SIGINT", 2], ["SIGTERM", 15]] as const) {
    process.on(signal, () => {
      if (++signals > 1) process.exit(128 + number);
      pipeline.stop();
    });
  }
  // A reader of our lines that went away (`| head`) ends the collector like a signal.
  process.stdout.on("error", () => pipeline.stop());
  return await pipeline.run();
}

try {
  process.exitCode = await main();
} catch (error) {
  if (error instanceof ArgumentsExit) {
    const stream = error.exitCode === 0 ? process.stdout : process.stderr;
    stream.write(`${error.message}\n`);
    process.exitCode = error.exitCode;
  } else {
    log("error", (error as Error).message);
    process.exitCode = 2;
  }
}
// Signal handlers would keep the program alive. What was written to a pipe goes out first.
process.stderr.write("", () => process.stdout.write("", () => process.exit()));
