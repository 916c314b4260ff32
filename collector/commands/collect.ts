/**
 * `collect`: follows files until it is told to end, or with `--once` to their end.
 *
 * @module
 */
import { join } from "node:path";
import process from "node:process";
import { runtime, userTempDirectory } from "../../ffi/mod.ts";
import type { Spool } from "../../lib/spool/mod.ts";
import { createDelivery, type Delivery } from "../delivery/delivery.ts";
import { type EndSignal, onEndSignal } from "../ending.ts";
import { discover, foundNothing } from "../files/discover.ts";
import { openJournal, ReplayError } from "../journal/journal.ts";
import { configureLog, log } from "../text/log.ts";
import { startProgress } from "../text/progress.ts";
import { addCollect, type CollectOptions } from "../options/options.ts";
import { Pipeline } from "../pipeline/pipeline.ts";
import { type AddCommand, parseWith } from "../program.ts";
import { createIntake } from "../receive/intake.ts";
import { type Receiver, startReceiver } from "../receive/receiver.ts";
import { startServers } from "../serve/servers.ts";
import { createPrinters, createSinks } from "../delivery/sinks.ts";
import { createShowing } from "../page/showing.ts";
import { type OpenedStore, openStoreSinks } from "../store/settings.ts";
import { createSpooling } from "../delivery/spool.ts";
import { createLanes } from "../delivery/lanes.ts";
import { openCollectorSpool, placeOfStore, SpoolError } from "../delivery/spool-place.ts";
import { forEachSignal } from "../pipeline/signals.ts";
import type { Environment } from "../options/variables.ts";

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

/** Without lines and columns, which change whenever the file does. */
function withoutPlace(warning: string): string {
  return warning.replace(/:\d+:\d+: /g, ": ");
}

/** Takes the configuration as it is now, or stays with the one before and says why. */
async function reload(delivery: Delivery, reread: () => CollectOptions): Promise<void> {
  const before = new Set(delivery.options.warnings.map(withoutPlace));
  let next: CollectOptions;
  let left: string[];
  try {
    next = reread();
    left = await delivery.reload(next);
  } catch (error) {
    log("error", `the configuration stays as it was: ${(error as Error).message}`);
    return;
  }
  configureLog(next.log);
  log("info", "the configuration was read again");
  for (const warning of next.warnings) {
    if (!before.has(withoutPlace(warning))) log("warn", warning);
  }
  if (left.length > 0) {
    log("warn", `this changes with a restart only: ${left.join(", ")}`);
  }
}

async function run(options: CollectOptions, reread: () => CollectOptions): Promise<number> {
  configureLog(options.log);
  for (const warning of options.warnings) log("warn", warning);
  if (!runtime.supported) {
    log("error", `files cannot be mapped here: ${runtime.reason}`);
    return 2;
  }
  const discovery = discover(options.paths, process.env, {
    log: options.once ? (): void => {} : log,
    places: { userTempDirectory },
  });
  let opened: OpenedStore | null = null;
  try {
    const { store, giveUpAfterMs } = options;
    if (store !== null) opened = openStoreSinks(store, { giveUpAfterMs, log });
  } catch (error) {
    log("error", (error as Error).message);
    if (options.destinations === null && !options.print) return 2;
    log("warn", "nothing is stored, and no page is served; all else goes on");
  }
  const others = [
    ...(opened === null ? [] : [{ sinks: opened.sinks, place: placeOfStore(opened.store.path) }]),
    ...(options.print ? [{ sinks: createPrinters() }] : []),
  ];
  let spool: Spool | null;
  try {
    spool = options.spool && openCollectorSpool(options.spool, process.env, log);
  } catch (error) {
    if (!(error instanceof SpoolError)) throw error;
    log("error", error.message);
    return 2;
  }
  const draining = { isPatient: options.once, log };
  /** Something may be copied that is to outlast a loss of power: of a file, or of what an earlier run left. */
  let syncsCopies = false;
  const lanes = spool && createLanes({
    spool,
    maxAgeMs: options.spool!.maxAgeMs,
    syncs: () => syncsCopies || spooling!.hasEarlier,
    ...draining,
  });
  const delivery = createDelivery(
    options,
    ({ destinations, giveUpAfterMs }) => createSinks(destinations, giveUpAfterMs, others, lanes),
  );
  const spooling = spool && createSpooling(spool, draining);
  const sinks = spooling === null
    ? delivery.sinks
    : forEachSignal((signal) => spooling.add(signal, delivery.sinks[signal]));
  const showing = opened && createShowing(opened.store, () => pipeline);
  const createPipeline = (): Pipeline =>
    new Pipeline({
      scan: discovery.scan,
      sinks,
      batchSize: options.batchSize,
      flushIntervalMs: options.flushIntervalMs,
      metricsIntervalMs: options.metricsIntervalMs,
      aggregation: {
        ...options.aggregation,
        // Of instruments that are met after a reload.
        get views() {
          return delivery.options.aggregation.views;
        },
        keepsCumulative: options.prometheus !== null,
        warn: (message) => log("warn", message),
      },
      once: options.once,
      keep: options.keep,
      otherUsers: options.otherUsers,
      onOpen: ({ isSynced }) => syncsCopies ||= isSynced,
      onClose: (file) => showing?.noteFile(file),
      log,
      journal: spool && openJournal({
        directory: join(spool.folder, "journal"),
        lastMark: (signal) => spool.lastMark(signal),
        syncStored: () => spool.sync(),
        onSynced: () => syncsCopies = true,
        log,
      }),
    });
  let pipeline: Pipeline;
  try {
    pipeline = createPipeline();
  } catch (error) {
    if (!(error instanceof ReplayError)) throw error;
    log("error", error.message);
    // Without that journal.
    pipeline = createPipeline();
  }
  const { once, print } = options;
  let endProgress = (): void => {};
  const showProgress = (): void => {
    const remaining = (): number => pipeline.remaining;
    endProgress = startProgress("delivering", remaining, print);
  };
  if (once) showProgress();
  const ends: EndSignal[] = ["SIGINT", "SIGTERM"];
  if (options.hasConfig) process.on("SIGHUP", () => void reload(delivery, reread));
  // There is nothing to read again: the terminal was closed.
  else ends.push("SIGHUP");
  onEndSignal(() => {
    if (!once) showProgress();
    pipeline.stop();
  }, ends);
  // A reader of our lines that went away (`| head`) ends the collector like a signal.
  process.stdout.on("error", () => pipeline.stop());
  const intake = options.receiver === null ? undefined : createIntake({
    queues: pipeline.requests.received,
    sinks,
    isHeld: (signal) =>
      spool === null && signal === "traces" && delivery.options.tailSampling !== null,
    ending: () => pipeline.ending,
  });
  const servers = await startServers({ pipeline, sinks, intake, spool }, options, log);
  let receiver: Receiver | undefined;
  try {
    if (intake !== undefined) receiver = await startReceiver(options.receiver!, intake, log);
    if (options.page !== null) {
      const receivers = receiver?.addresses ?? [];
      const said = { log, format: options.log.format };
      await showing?.serve(options.page, () => ({ ...delivery.options, receivers }), said);
    }
    const code = await pipeline.run();
    if (once && code === 0 && pipeline.files.opened === 0) log("info", foundNothing(discovery));
    const spools = [spooling, lanes].filter((each) => each !== null);
    for (const line of spools.flatMap((each) => each.describe())) log("info", line);
    return code || (options.once && spools.some(({ left }) => left > 0) ? 1 : 0);
  } finally {
    await receiver?.close();
    endProgress();
    servers.close();
    showing?.close();
    spooling?.close();
    lanes?.close();
    opened?.close();
  }
}
