/**
 * Hands out loggers.
 *
 * @module
 */
import {
  type Attributes,
  type Context,
  diag,
  type Logger as ApiLogger,
  type LoggerOptions,
  type LoggerProvider as ApiProvider,
} from "@opentelemetry/api";
import { cleanSimpleAttributes } from "@opentelemetry/core";
import { Logger, type LoggerSettings, type LogRecordHook } from "./logger.ts";
import type { ResolvedLogLimits } from "./limits.ts";
import { DEFAULT_FLUSH_MS } from "./provider.ts";
import type { Recorder, ScopeIdentity } from "./recorder.ts";
import { asText } from "./span.ts";

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
    const scope = this.scopeOf(name, version, options);
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
    return this.settings.recorder.taken(options?.timeout ?? DEFAULT_FLUSH_MS);
  }

  /** Log records emitted afterwards go nowhere. The file belongs to the SDK, which ends it. */
  shutdown(): Promise<void> {
    this.settings.isShutDown = true;
    return Promise.resolve();
  }

  private scopeOf(
    name: unknown,
    version: unknown,
    options: LoggerOptions | undefined,
  ): ScopeIdentity {
    let schemaUrl: string | undefined;
    let attributes: Attributes | undefined;
    try {
      if (options?.schemaUrl) schemaUrl = asText(options.schemaUrl);
      attributes = cleanSimpleAttributes(options?.attributes, this.settings.limits).attributes;
    } catch (error) {
      diag.warn("getLogger: its options could not be read", error);
    }
    return {
      name: name === undefined || name === null ? "" : asText(name),
      version: version === undefined || version === null ? undefined : asText(version),
      schemaUrl,
      attributes: attributes && Object.keys(attributes).length > 0 ? attributes : undefined,
    };
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
