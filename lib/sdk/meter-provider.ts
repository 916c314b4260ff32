/**
 * Hands out meters, and collects what their callbacks observe.
 *
 * @module
 */
import process from "node:process";
import { clearInterval, clearTimeout, setInterval, setTimeout } from "node:timers";
import type {
  Context,
  Meter as ApiMeter,
  MeterOptions,
  MeterProvider as ApiProvider,
} from "@opentelemetry/api";
import type { ExemplarFilter, Temporality } from "./config.ts";
import { endOnce } from "./end-once.ts";
import { Meter, type MeterSettings } from "./meter.ts";
import { MAX_TIMER_MS } from "./metric-options.ts";
import { ask } from "./observables.ts";
import { flushTimeout } from "./provider.ts";
import type { Recorder } from "./recorder.ts";
import { scopeOf } from "./scope.ts";
import { checkViews, type View } from "./views.ts";

/** How a meter provider is made. */
export interface MeterProviderSettings {
  readonly recorder: Recorder;
  /** The temporality that definitions ask for. */
  readonly temporality: Temporality;
  /** What histograms become. */
  readonly histograms: "explicit" | "exponential";
  /** Which measurements carry their span. */
  readonly exemplars: ExemplarFilter;
  /** How often callbacks are asked, ms. */
  readonly exportIntervalMs: number;
  /** How long they may take, ms; Infinity for no limit. */
  readonly exportTimeoutMs: number;
  readonly views: readonly View[];
  /** The active context. */
  activeContext(): Context;
}

/** The meter provider that `start()` makes and registers. */
export class MeterProvider implements ApiProvider {
  private readonly meters = new Map<string, Meter>();
  private readonly settings: MeterSettings;
  private readonly recorder: Recorder;
  private readonly intervalMs: number;
  private readonly timeoutMs: number;
  private timer: ReturnType<typeof setInterval> | null = null;
  /** Collections whose callbacks have not all answered. */
  private readonly underWay = new Set<Promise<unknown>>();

  constructor(settings: MeterProviderSettings) {
    const { recorder, temporality, histograms, exemplars, views, activeContext } = settings;
    this.recorder = recorder;
    this.intervalMs = settings.exportIntervalMs;
    this.timeoutMs = settings.exportTimeoutMs;
    this.settings = {
      recorder,
      temporality,
      histograms,
      exemplars,
      activeContext,
      views: checkViews(views),
      isShutDown: false,
      onCallback: () => this.watch(),
    };
  }

  /** The meter of a name, version and schema URL: the same one for the same three. */
  getMeter(name: string, version?: string, options?: MeterOptions): ApiMeter {
    const scope = scopeOf("getMeter", name, version, options);
    const key = `${scope.name}\0${scope.version ?? ""}\0${scope.schemaUrl ?? ""}`;
    let meter = this.meters.get(key);
    if (meter === undefined) {
      meter = new Meter(this.settings, scope);
      this.recorder.follow(meter);
      this.meters.set(key, meter);
    }
    return meter;
  }

  /**
   * Asks the callbacks of all observable instruments and writes what they observe within `timeout`
   * ms, and within the time that they may take at all. The process stays alive for them unless
   * `isAside`.
   */
  collect(timeout: number = this.timeoutMs, isAside = false): Promise<void> {
    return this.collectBeside([], timeout, isAside);
  }

  /** Also waits for `others`, not longer than for its own callbacks. */
  private async collectBeside(
    others: readonly Promise<unknown>[],
    timeout: number,
    isAside = false,
  ): Promise<void> {
    if (this.settings.isShutDown) return;
    const callbacks = this.callbacks();
    if (callbacks.length === 0) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const limit = Math.min(timeout, this.timeoutMs);
    const deadline = new Promise<void>((resolve) => {
      if (limit > MAX_TIMER_MS) return;
      timer = setTimeout(resolve, limit);
      if (isAside) timer.unref();
    });
    const { promise: answered, resolve } = Promise.withResolvers<unknown>();
    // There before the callbacks run, which may shut down.
    this.underWay.add(answered);
    resolve(ask(callbacks, deadline));
    await answered;
    if (others.length > 0) await Promise.race([Promise.all(others), deadline]);
    this.underWay.delete(answered);
    clearTimeout(timer);
  }

  /** Collects, and resolves true when the collector has taken all that is written then. */
  async forceFlush(options?: { timeout?: number }): Promise<boolean> {
    const timeout = flushTimeout(options);
    const deadline = performance.now() + timeout;
    await this.collect(timeout);
    return this.recorder.taken(Math.max(0, deadline - performance.now()));
  }

  /**
   * Collects once more; afterwards nothing is recorded. A callback that calls it waits for nothing. The
   * file belongs to the SDK, which ends it.
   */
  readonly shutdown: () => Promise<void> = endOnce(() => this.end());

  private async end(): Promise<void> {
    // A callback that never answers must not keep the program from ending.
    const limit = this.timeoutMs === Infinity ? this.intervalMs : this.timeoutMs;
    // Callbacks that have not answered are not asked again: what they were asked before counts.
    await this.collectBeside([...this.underWay], limit);
    this.settings.isShutDown = true;
    if (this.timer !== null) clearInterval(this.timer);
    process.removeListener("uncaughtExceptionMonitor", this.observeNow);
  }

  /** From the first callback on: asks at every interval, and when an exception ends the process. */
  private watch(): void {
    if (this.timer !== null || this.settings.isShutDown) return;
    this.timer = setInterval(() => void this.collect(this.timeoutMs, true), this.intervalMs);
    this.timer.unref();
    // Deno has no "exit" after an exception that nobody caught.
    process.on("uncaughtExceptionMonitor", this.observeNow);
  }

  /**
   * Asks the callbacks, and takes what they observe at once: promises are not settled any more when
   * the process ends. Never throws.
   */
  readonly observeNow = (): void => {
    if (this.settings.isShutDown) return;
    ask(this.callbacks(), null);
  };

  private callbacks(): ReturnType<Meter["callbacks"]> {
    return [...this.meters.values()].flatMap((meter) => meter.callbacks());
  }
}
