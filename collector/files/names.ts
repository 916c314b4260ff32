/**
 * Whose files these are, as the resource of the process says it.
 *
 * @module
 */
import { fromBinary } from "@bufbuild/protobuf";
import { type KeyValue, ResourceMetricsSchema } from "../../proto/gen/otlp_pb.ts";
import type { FollowedProcess } from "./follow.ts";

/** What tells the resources of processes apart. */
export interface Identity {
  readonly service: string;
  /** `service.instance.id`, or "". */
  readonly instance: string;
  readonly pid: number;
}

/** What is known of a process. */
export interface ProcessName extends Identity {
  /** `deno`, `bun` or what its resource says; "" where nothing does. */
  readonly runtime: string;
  /** When it started, unix milliseconds. */
  readonly since: number;
}

const RUNTIMES = ["", "deno", "bun"];
const names = new WeakMap<FollowedProcess, ProcessName>();

/**
 * Is a resource that of a process?
 *
 * @param valueOf The text of an attribute.
 */
export function isOf(
  service: string,
  valueOf: (key: string) => string | undefined,
  wanted: Identity,
): boolean {
  const known = valueOf("service.instance.id");
  if (wanted.instance !== "" && known !== undefined) return known === wanted.instance;
  return service === wanted.service && valueOf("process.pid") === String(wanted.pid);
}

/** What is known of a process, from its resource and from its files. */
export function nameOf(process: FollowedProcess): ProcessName {
  const known = names.get(process);
  if (known !== undefined) return known;
  const { firstResource } = process.state.scopes;
  const attributes = firstResource === null
    ? []
    : fromBinary(ResourceMetricsSchema, firstResource.head).resource?.attributes ?? [];
  const file = process.files.at(0);
  const extension = file?.extension;
  const name: ProcessName = {
    service: textOf(attributes, "service.name"),
    instance: textOf(attributes, "service.instance.id"),
    pid: extension?.ownerPid ?? Number(textOf(attributes, "process.pid")),
    runtime: textOf(attributes, "process.runtime.name") || RUNTIMES[extension?.runtime ?? 0] || "",
    since: Number((extension?.ownerStartTime ?? file?.geometry.timeUnixNano ?? 0n) / 1_000_000n),
  };
  // Before the first record nobody knows its resource.
  if (firstResource !== null) names.set(process, name);
  return name;
}

/** A process for people: `shop (1234)`. */
export function labelOf(
  { pid, service }: { readonly service: string; readonly pid: number | string },
): string {
  return `${service || "unknown"} (${pid})`;
}

/** An attribute that is text or an integer, as text; "" where there is none. */
export function textOf(attributes: readonly KeyValue[], key: string): string {
  const value = attributes.findLast((attribute) => attribute.key === key)?.value?.value;
  return value?.case === "stringValue" || value?.case === "intValue" ? String(value.value) : "";
}
