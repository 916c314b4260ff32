/**
 * The resource: what is known about the process that makes the telemetry. It is written once, into
 * the file, when the SDK starts, so everything here is synchronous and takes well under 1 ms.
 *
 * The detectors give the attributes of those in `@opentelemetry/resources`. They are our own because
 * that package's runtime attributes say Node.js everywhere, its host detector starts a process on
 * macOS, and loading it costs more time than all the rest of this.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import * as os from "node:os";
import { basename } from "node:path";
import process from "node:process";
import type { Attributes, AttributeValue } from "@opentelemetry/api";
import { isSimpleAttributeValue } from "@opentelemetry/core";
import { runtime } from "../../ffi/mod.ts";
import type { DetectorName, EnvironmentSettings } from "./config.ts";

/** Version of this SDK (`telemetry.sdk.version`). */
export const SDK_VERSION = "0.1.0";
/** Name of this SDK (`telemetry.sdk.name`). */
export const SDK_NAME = "otlp-mmap";

/**
 * Finds attributes of a resource; the detectors of `@opentelemetry/resources` and its companions fit.
 * Values that are promises are left out: the resource is complete when the first span starts.
 */
export interface ResourceDetector {
  /** Runs once, when the SDK starts. */
  detect(): { attributes?: Record<string, unknown> };
}

/** What a resource is built from; later ones override earlier ones: detectors, `env`, `attributes`. */
export interface ResourceOptions {
  /** From `readEnvironment`. */
  env: Pick<EnvironmentSettings, "serviceName" | "resourceAttributes" | "detectors">;
  /** Attributes the program gives; they win over everything else. */
  attributes?: Attributes;
  /** Schema URL of the attributes. */
  schemaUrl?: string;
  /** Further detectors, run after the built-in ones. */
  detectors?: readonly ResourceDetector[];
}

/** A finished resource. */
export interface Resource {
  /** In the order in which they were found. */
  attributes: Attributes;
  /** As given in the options. */
  schemaUrl?: string;
  /** One line for each attribute or detector that was left out. */
  warnings: string[];
}

/** Builds the resource. Never throws. */
export function buildResource(options: ResourceOptions): Resource {
  const { env } = options;
  const executable = executableName();
  const warnings: string[] = [];
  const attributes: Attributes = {
    "service.name": executable === undefined ? "unknown_service" : `unknown_service:${executable}`,
    // Of the values the semantic conventions know, the one that means this API outside browsers;
    // process.runtime.name says which runtime it is.
    "telemetry.sdk.language": "nodejs",
    "telemetry.sdk.name": SDK_NAME,
    "telemetry.sdk.version": SDK_VERSION,
  };
  for (const name of env.detectors) {
    merge(attributes, DETECTORS[name](), name, warnings);
  }
  for (const detector of options.detectors ?? []) {
    const name = detector?.constructor?.name ?? "detector";
    try {
      merge(attributes, detector.detect().attributes, name, warnings);
    } catch (error) {
      warnings.push(`resource detector ${name} failed, its attributes are missing: ${error}`);
    }
  }
  merge(attributes, env.resourceAttributes, "OTEL_RESOURCE_ATTRIBUTES", warnings);
  if (env.serviceName !== undefined) attributes["service.name"] = env.serviceName;
  merge(attributes, options.attributes, "start()", warnings);
  return { attributes, schemaUrl: options.schemaUrl, warnings };
}

function merge(
  into: Attributes,
  from: Record<string, unknown> | undefined,
  source: string,
  warnings: string[],
): void {
  for (const [key, value] of Object.entries(from ?? {})) {
    if (value === undefined || value === null) continue;
    if (typeof (value as { then?: unknown }).then === "function") {
      // Nobody awaits it: without this a rejection would end the process.
      (value as PromiseLike<unknown>).then(undefined, () => {});
      warnings.push(`resource attribute ${key} of ${source} left out: it is a promise`);
    } else if (key === "" || !isSimpleAttributeValue(value)) {
      warnings.push(
        `resource attribute "${key}" of ${source} left out: it needs a name, and a string, number, ` +
          `boolean or array of one of these as its value`,
      );
    } else {
      into[key] = value as AttributeValue;
    }
  }
}

// ------------------------------------------------------------------------------------ detectors

type Found = Record<string, AttributeValue | undefined>;

const DETECTORS: Record<DetectorName, () => Found> = {
  host: () => ({
    "host.name": attempt(() => os.hostname()),
    "host.arch": attempt(() => ARCHITECTURES[os.arch()] ?? os.arch()),
    "host.id": machineId(),
  }),
  os: () => ({
    "os.type": attempt(() => OS_TYPES[os.platform()] ?? os.platform()),
    "os.version": attempt(() => os.release()),
  }),
  process: () => ({
    "process.pid": attempt(() => process.pid),
    "process.executable.name": executableName(),
    "process.executable.path": attempt(() => process.execPath),
    "process.command": attempt(() => process.argv[1]),
    "process.command_args": attempt(() => [
      process.argv[0],
      ...process.execArgv,
      ...process.argv.slice(1),
    ]),
    "process.owner": attempt(owner),
    "process.runtime.name": runtime.name === "other" ? "nodejs" : runtime.name,
    "process.runtime.version": attempt(() =>
      process.versions[runtime.name === "other" ? "node" : runtime.name]
    ),
  }),
  serviceinstance: () => ({ "service.instance.id": crypto.randomUUID() }),
};

/** Values of host.arch where they differ from what the runtime says. */
const ARCHITECTURES: Record<string, string> = { arm: "arm32", ppc: "ppc32", x64: "amd64" };
/** Values of os.type where they differ from what the runtime says. */
const OS_TYPES: Record<string, string> = { sunos: "solaris", win32: "windows" };

/** The value, or nothing where the runtime has no permission for it or doesn't know it. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function executableName(): string | undefined {
  return attempt(() => basename(process.execPath) || undefined);
}

function owner(): string | undefined {
  const name = os.userInfo().username;
  // What a runtime says that goes by $USER, when that is unset.
  return name === "unknown" ? undefined : name;
}

/** systemd's machine id; other systems' would need a child process, which start must not wait for. */
function machineId(): string | undefined {
  for (const path of ["/etc/machine-id", "/var/lib/dbus/machine-id"]) {
    const id = attempt(() => readFileSync(path, "utf8").trim());
    if (id) return id;
  }
  return undefined;
}
