/**
 * Hands out loggers.
 *
 * @module
 */
import type {
  Context,
  Logger as ApiLogger,
  LoggerOptions,
  LoggerProvider as ApiProvider,
} from "@opentelemetry/api";
import { cleanSimpleAttributes } from "@opentelemetry/core";
import { Logger, type LoggerSettings, type LogRecordHook } from "./logger.ts";
import type { ResolvedLogLimits } from "./limits.ts";
import { flushTimeout } from "./provider.ts";
import type { Recorder, ScopeIdentity } from "./recorder.ts";
import { scopeOf } from "./scope.ts";

/** How a logger provider is made. */
export interface LoggerProviderSettings {
  readonly recorder: Recorder;
  readonly limits: ResolvedLogLimits;
  /** Sees, changes or drops every record. */
  readonly onEmit?: LogRecordHook | null;
  /** Records with a lower severity (1 to 24) are dropped, those without any are not. Default 0. */
  readonly minimumSeverity?: number;
  /** The active context. */
  activeContext(): Context;
}

/**
 * The logger provider that `start()` makes and registers, with `@opentelemetry/api` as well as with
 * `@opentelemetry/api-logs`, whose types are the same.
 */
export class LoggerProvider implements ApiProvider {
  private readonly settings: LoggerSettings;
  private readonly loggers = new Map<string, Logger>();

  constructor(settings: LoggerProviderSettings) {
    const { recorder, limits, onEmit, minimumSeverity } = settings;
    this.settings = {
      recorder,
      limits,
      onEmit: onEmit ?? null,
      minimumSeverity: minimumSeverity ?? 0,
      activeContext: settings.activeContext,
      isShutDown: false,
    };
  }

  /**
   * The logger of a name, version, schema URL and attributes: the same one for the same four.
   * Attributes that are neither strings, numbers, booleans nor arrays of one of them are left out.
   */
  getLogger(name: string, version?: string, options?: LoggerOptions): ApiLogger {
    const scope = scopeOf("getLogger", name, version, options, (given) => {
      const { attributes } = cleanSimpleAttributes(given?.attributes, this.settings.limits);
      return attributes && Object.keys(attributes).length > 0 ? { attributes } : {};
    });
    const key = keyOf(scope);
    let logger = this.loggers.get(key);
    if (logger === undefined) {
      logger = new Logger(this.settings, scope);
      this.settings.recorder.follow(logger);
      this.loggers.set(key, logger);
    }
    return logger;
  }

  /** Resolves true when the collector has taken all that is written now; see `Sdk.forceFlush`. */
  forceFlush(options?: { timeout?: number }): Promise<boolean> {
    return this.settings.recorder.taken(flushTimeout(options));
  }

  /** Log records emitted afterwards go nowhere. The file belongs to the SDK, which ends it. */
  shutdown(): Promise<void> {
    this.settings.isShutDown = true;
    return Promise.resolve();
  }
}

/** The same for scopes that say the same, whatever the order of their attributes. */
function keyOf({ name, version, schemaUrl, attributes }: ScopeIdentity): string {
  const key = `${name}\0${version ?? ""}\0${schemaUrl ?? ""}`;
  if (attributes === undefined) return key;
  const pairs = Object.entries(attributes).sort(([a], [b]) => a < b ? -1 : 1);
  return `${key}\0${JSON.stringify(pairs, tagged)}`;
}

/** JSON makes null of NaN and infinities, and 0 of -0. */
function tagged(_key: string, value: unknown): unknown {
  return typeof value === "number" ? [Object.is(value, -0) ? "-0" : String(value)] : value;
}
