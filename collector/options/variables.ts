/**
 * The OTEL_EXPORTER_OTLP_* variables (OpenTelemetry specification, "OpenTelemetry Protocol
 * Exporter"): the one for a signal wins over the one for all signals, and empty means unset.
 *
 * @module
 */

import type { Signal } from "../../lib/otlp/request.ts";

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A variable that is set. */
export interface Setting {
  readonly value: string;
  /** The variable's name, for messages. */
  readonly source: string;
}

/** The value of a variable; `undefined` when it is unset or blank. */
export function variable(env: Environment, name: string): Setting | undefined {
  const value = env[name]?.trim();
  return value === undefined || value === "" ? undefined : { value, source: name };
}

/** The name of the variable that says something of one signal, `OTEL_EXPORTER_OTLP_LOGS_<NAME>`. */
export function signalVariable(signal: Signal, name: string): string {
  return `OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_${name}`;
}

/** `OTEL_EXPORTER_OTLP_TRACES_<NAME>` (and so on), or else `OTEL_EXPORTER_OTLP_<NAME>`. */
export function otlpVariable(env: Environment, signal: Signal, name: string): Setting | undefined {
  return variable(env, signalVariable(signal, name)) ?? variable(env, `OTEL_EXPORTER_OTLP_${name}`);
}

/**
 * The pairs of a `key1=value1,key2=value2` list, percent-decoded (W3C Baggage without properties).
 *
 * @throws Error that names the bad entry by its key, never by its value, which may be a secret.
 */
export function parseHeaderList(text: string): [name: string, value: string][] {
  const pairs: [string, string][] = [];
  text.split(",").forEach((entry, index) => {
    if (entry.trim() === "") return;
    const equals = entry.indexOf("=");
    if (equals <= 0) throw new Error(`entry ${index + 1} is not NAME=VALUE`);
    const name = decode(entry.slice(0, equals).trim());
    const value = decode(entry.slice(equals + 1).trim());
    if (name === undefined || value === undefined) {
      throw new Error(`entry ${index + 1} has a "%" that starts no percent-encoded character`);
    }
    pairs.push([name, value]);
  });
  return pairs;
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
