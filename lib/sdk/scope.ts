/**
 * What a tracer, a meter or a logger is asked for by.
 *
 * @module
 */
import { diag } from "@opentelemetry/api";
import type { ScopeIdentity } from "./recorder.ts";
import { asText } from "./span.ts";

/**
 * The scope that a provider's `call` was given. What can't be read of its options is as if they did
 * not say it; `more` reads what only this signal has. Never throws.
 */
export function scopeOf<T extends { schemaUrl?: string }>(
  call: string,
  name: unknown,
  version: unknown,
  options: T | undefined,
  more?: (options: T | undefined) => Partial<ScopeIdentity>,
): ScopeIdentity {
  let schemaUrl: string | undefined;
  let rest: Partial<ScopeIdentity> | undefined;
  try {
    if (options?.schemaUrl) schemaUrl = asText(options.schemaUrl);
    rest = more?.(options);
  } catch (error) {
    diag.warn(`${call}: its options could not be read`, error);
  }
  return {
    name: asText(name ?? ""),
    version: version === undefined || version === null ? undefined : asText(version),
    schemaUrl,
    ...rest,
  };
}
