/**
 * `collect`: follows files until it is told to end, or with `--once` to their end.
 *
 * @module
 */
import process from "node:process";
import { runtime, userTempDirectory } from "../../ffi/mod.ts";
import type { Signal } from "../../lib/otlp/request.ts";
import { discover } from "../discover.ts";
import { configureLog, log } from "../log.ts";
import { addCollect, type CollectOptions } from "../options.ts";
import { createOutput, type Output } from "../output.ts";
import { Pipeline } from "../pipeline.ts";
import { formatRequest, wantsColor } from "../print/print.ts";
import { type AddCommand, parseWith } from "../program.ts";
import type { Sink } from "../queue.ts";
import { createSender, type Outcome } from "../send.ts";
import { startServers } from "../servers.ts";
import { forEachSignal, ITEMS } from "../signals.ts";
import { type Environment, signalVariable } from "../variables.ts";

/** The command. */
export const collect: AddCommand = (program, env, choose) =>
  addCollect(program, env, (options) => choose(() => run(options, () => reread(env))));

/** The options of this process again, with what files say now. */
function reread(env: Environment): CollectOptions {
  let options: CollectOptions | undefined;
  parseWith(process.argv.slice(2), (program) =>
    addCollect(program, env, (read) => {
      options = read;
    }));
  return options!;
}

/** Prints a line for each item instead of sending. */
function createPrinter(signal: Signal): Sink {
  const style = { color: wantsColor(process.stdout.isTTY, process.env) };
  return {
    send(body: Uint8Array, items: number) {
      return new Promise((resolve) => {
        process.stdout.write(formatRequest(signal, body, style), (error) => {
          resolve(
            error
              ? { accepted: 0, rejected: 0, dropped: items, gaveUp: true, reason: error.message }
              : { accepted: items, rejected: 0, dropped: 0 },
          );
        });
      });
    },
    abort(): void {},
    close: () => Promise.resolve(),
  };
}

/** Refuses a signal that no endpoint is named for, while there is one for others. */
function createRefusal(signal: Signal): Sink {
  let said = false;
  return {
    send(_body: Uint8Array, items: number): Promise<Outcome> {
      if (!said) {
        const name = signalVariable(signal, "ENDPOINT");
        log(
          "warn",
          `there is no endpoint for ${signal}: ${
            ITEMS[signal]
          } are not sent; set --endpoint or ${name}`,
        );
      }
      said = true;
      return Promise.resolve({ accepted: 0, rejected: items, dropped: 0 });
    },
    abort(): void {},
    close: () => Promise.resolve(),
  };
}

function createSink(signal: Signal, { destinations, giveUpAfterMs }: CollectOptions): Sink {
  if (destinations === null) return createPrinter(signal);
  const destination = destinations[signal];
  if (destination === null) return createRefusal(signal);
  return createSender({ ...destination, signal, maxElapsedMs: giveUpAfterMs, log });
}

/** Takes the configuration as it is now, or stays with the one before and says why. */
async function reload(output: Output, reread: () => CollectOptions): Promise<void> {
  let next: CollectOptions;
  try {
    next = reread();
  } catch (error) {
    log("error", `the configuration stays as it was: ${(error as Error).message}`);
    return;
  }
  const left = await output.reload(next);
  configureLog(next.log);
  log("info", "the configuration was read again");
  if (left.length > 0) {
    log("warn", `this changes with a restart only: ${left.join(", ")}`);
  }
}

async function run(options: CollectOptions, reread: () => CollectOptions): Promise<number> {
  configureLog(options.log);
  if (!runtime.supported) {
    log("error", `files cannot be mapped here: ${runtime.reason}`);
    return 2;
  }
  const discovery = discover(options.paths, process.env, {
    log: options.once ? (): void => {} : log,
    places: { userTempDirectory },
  });
  const output = createOutput(options, createSink);
  const { sinks } = output;
  const pipeline = new Pipeline({
    scan: discovery.scan,
    sinks,
    batchSize: options.batchSize,
    flushIntervalMs: options.flushIntervalMs,
    metricsIntervalMs: options.metricsIntervalMs,
    aggregation: {
      ...options.aggregation,
      // Of instruments that are met after a reload.
      get views() {
        return output.options.aggregation.views;
      },
      warn: (message) => log("warn", message),
    },
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
  process.on("SIGHUP", () => void reload(output, reread));
  // A reader of our lines that went away (`| head`) ends the collector like a signal.
  process.stdout.on("error", () => pipeline.stop());
  const servers = await startServers({ pipeline, sinks }, options, log);
  try {
    return await pipeline.run();
  } finally {
    servers.close();
  }
}
