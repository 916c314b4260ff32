/**
 * Attributes that the collector adds to resources: named ones, and where it runs.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { arch, hostname, type } from "node:os";
import process from "node:process";
import type { ConfigFile, Field } from "../../lib/metrics/yaml-fields.ts";
import type { Processor, Scalar } from "../processors/processor.ts";
import { readScalars } from "./processors.ts";

/** Names of what can be detected. */
export const DETECTORS = ["host", "container", "kubernetes"] as const;

/** OpenTelemetry's words for processors (semantic conventions, `host.arch`). */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

/** Attributes by the variables that Kubernetes' downward API is commonly asked to set. */
const KUBERNETES: Readonly<Record<string, readonly string[]>> = {
  "k8s.cluster.name": ["K8S_CLUSTER_NAME"],
  "k8s.namespace.name": ["K8S_NAMESPACE_NAME", "K8S_NAMESPACE", "POD_NAMESPACE"],
  "k8s.node.name": ["K8S_NODE_NAME", "NODE_NAME"],
  "k8s.pod.name": ["K8S_POD_NAME", "POD_NAME"],
  "k8s.pod.uid": ["K8S_POD_UID", "POD_UID"],
  "k8s.pod.ip": ["K8S_POD_IP", "POD_IP"],
  "k8s.container.name": ["K8S_CONTAINER_NAME", "CONTAINER_NAME"],
  "k8s.deployment.name": ["K8S_DEPLOYMENT_NAME"],
};

/** Reads `resource`: a step that adds what is not on a resource yet, or none. */
export function readResource(file: ConfigFile, field: Field | undefined): Processor[] {
  if (field === undefined || field.value === null) return [];
  const fields = file.fields(field.value, field.name, field.key, ["attributes", "detect"]);
  const values = new Map<string, Scalar>();
  const detect = fields.get("detect");
  for (const entry of detect === undefined ? [] : file.entries(detect)) {
    const name = file.word(entry, DETECTORS);
    for (const [key, value] of Object.entries(detected(name))) values.set(key, value);
  }
  const attributes = fields.get("attributes");
  if (attributes !== undefined) {
    for (const [key, value] of readScalars(file, attributes)) values.set(key, value);
  }
  return values.size === 0 ? [] : [{ where: [], action: { kind: "complete", values } }];
}

function detected(name: string | undefined): Record<string, string> {
  switch (name) {
    case "host":
      return detectHost();
    case "container":
      return detectContainer();
    case "kubernetes":
      return detectKubernetes(process.env);
    default:
      return {};
  }
}

function detectHost(): Record<string, string> {
  const id = readOr("/etc/machine-id").trim();
  return {
    "host.name": hostname(),
    ...(id === "" ? {} : { "host.id": id }),
    "host.arch": ARCHITECTURES[arch()] ?? arch(),
    "os.type": type().toLowerCase(),
  };
}

/** The id is in the name of the control group (version 1) or in the mounts of its files (version 2). */
function detectContainer(): Record<string, string> {
  const id = containerId(readOr("/proc/self/cgroup"), readOr("/proc/self/mountinfo"));
  return id === undefined ? {} : { "container.id": id };
}

/** The id of the container that these files of /proc belong to; undefined where there is none. */
export function containerId(cgroup: string, mounts: string): string | undefined {
  for (const line of cgroup.split("\n")) {
    const found = /([0-9a-f]{64})(?:\.scope)?$/.exec(line);
    if (found !== null) return found[1];
  }
  const hosts = mounts.split("\n").find((line) => line.includes(" /etc/hostname "));
  return /\/containers\/(?:[^/ ]+\/)*([0-9a-f]{64})\//.exec(hosts ?? "")?.[1];
}

/** What variables say of Kubernetes. */
export function detectKubernetes(env: Record<string, string | undefined>): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [key, names] of Object.entries(KUBERNETES)) {
    const value = names.map((name) => env[name]).find((text) => text !== undefined && text !== "");
    if (value !== undefined) found[key] = value;
  }
  return found;
}

function readOr(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
