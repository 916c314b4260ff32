/**
 * What must agree in Kubernetes manifests around the collector: arguments, ports, volumes, users.
 *
 * @module
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { ArgumentsExit } from "../../collector/options/arguments.ts";
import { detectKubernetes } from "../../collector/config/resource.ts";
import { helpText } from "../../collector/options/help.ts";
import { addCollect, type CollectOptions } from "../../collector/options/options.ts";
import { LOG_BYTES } from "../../collector/journal/journal.ts";
import type { SpoolSettings } from "../../collector/options/spool.ts";
import { parseWith } from "../../collector/program.ts";
import { advise, type Load } from "../../collector/size/size.ts";
import type { Environment } from "../../collector/options/variables.ts";

/** A part of a manifest: whatever is there is asked for by name. */
// deno-lint-ignore no-explicit-any
export type Part = any;

/** Where manifests and units have the configuration file. */
export const CONFIG_PATH = "/etc/otlp-mmap/config.yaml";

/** What default rings are for, and less. */
export const NO_LOAD: Load = {
  ...{ rate: 0, burst: 0, logsRate: 0, logsBurst: 0, measurementsRate: 0, measurementsBurst: 0 },
  ...{ updates: 1, events: 0, pauseMs: 1000 },
};

/** What the downward API can say in a variable. */
const FIELD_PATHS =
  /^(metadata\.(name|namespace|uid|(annotations|labels)\['[^']+'\])|spec\.(nodeName|serviceAccountName)|status\.(hostIPs?|podIPs?))$/;

/** Variables that applications read. */
const OF_APPLICATIONS = ["OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTLP_MMAP_DIR"];

/** The documents of a file. @throws Error for what is no YAML */
export function readDocuments(text: string): Part[] {
  return parseAllDocuments(text).map((document) => {
    if (document.errors.length > 0) throw document.errors[0];
    return document.toJS();
  });
}

/**
 * What `collect` makes of arguments that name {@linkcode CONFIG_PATH}.
 *
 * @param config What that file says.
 * @throws ArgumentsExit as `collect` does.
 */
export function readArguments(
  args: readonly string[],
  config: string,
  env: Environment = {},
): CollectOptions {
  const folder = mkdtempSync(join(tmpdir(), "otlp-mmap-config-"));
  try {
    const path = join(folder, "config.yaml");
    writeFileSync(path, config);
    let options: CollectOptions | undefined;
    parseWith(
      args.map((arg) => arg.replace(CONFIG_PATH, path)),
      (program) => addCollect(program, env, (read) => options = read),
    );
    return options!;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Everything that does not agree in the documents of a file, a line each. */
export function problemsOf(documents: readonly Part[]): string[] {
  const problems: string[] = [];
  for (const document of documents) {
    const { apiVersion, kind, metadata } = document;
    const name = `${kind} ${metadata?.name}`;
    const version = VERSIONS[kind];
    if (version === undefined) problems.push(`${name}: an unknown kind`);
    else if (version !== apiVersion) problems.push(`${name}: apiVersion is not ${version}`);
    if (version !== "apps/v1") continue;
    const { selector, template } = document.spec;
    for (const [key, value] of Object.entries(selector.matchLabels)) {
      if (template.metadata.labels[key] !== value) problems.push(`${name}: selector ${key}`);
    }
    const pod = new Pod(documents, document, (problem) => problems.push(`${name}: ${problem}`));
    pod.check();
  }
  return problems;
}

/** The name of the volume on a disk. */
const SPOOL = "spool";

const VERSIONS: Readonly<Record<string, string>> = {
  Namespace: "v1",
  ConfigMap: "v1",
  Deployment: "apps/v1",
  DaemonSet: "apps/v1",
};

/** True for containers of our image. */
export function isCollector({ image }: Part): boolean {
  return /\/otlp-mmap:/.test(image);
}

/** All containers of a workload. */
export function containersOf({ spec }: Part): Part[] {
  const { initContainers = [], containers } = spec.template.spec;
  return [...initContainers, ...containers];
}

class Pod {
  private readonly documents: readonly Part[];
  private readonly workload: Part;
  private readonly spec: Part;
  private readonly containers: Part[];
  private readonly complain: (problem: string) => void;

  constructor(documents: readonly Part[], workload: Part, complain: (problem: string) => void) {
    this.documents = documents;
    this.workload = workload;
    this.spec = workload.spec.template.spec;
    this.containers = containersOf(workload);
    this.complain = complain;
  }

  check(): void {
    this.checkVolumes();
    for (const container of this.containers) {
      this.checkVariables(container);
      if (isCollector(container)) this.checkCollector(container);
      else if (valueOf(container, "OTLP_MMAP_DIR") !== undefined) {
        this.checkPlace(container, valueOf(container, "OTLP_MMAP_DIR")!);
      }
    }
    if (this.workload.kind === "Deployment" && this.containers.some(isCollector)) {
      this.checkSidecar();
    }
  }

  private checkVolumes(): void {
    const { volumes } = this.spec;
    const mounts = this.containers.flatMap(({ volumeMounts = [] }) => volumeMounts);
    for (const { name, subPathExpr = "" } of mounts) {
      if (!volumes.some((volume: Part) => volume.name === name)) this.complain(`no volume ${name}`);
      if (/\.\.|^\//.test(subPathExpr)) this.complain(`subPathExpr ${subPathExpr}`);
    }
    for (const { name, emptyDir, hostPath } of volumes) {
      if (!mounts.some((mount) => mount.name === name)) this.complain(`nobody mounts ${name}`);
      if (name === SPOOL) continue;
      if (emptyDir !== undefined) {
        if (emptyDir.medium !== "Memory") this.complain(`${name} is not in memory`);
        const most = advise(NO_LOAD).mostBytes;
        const limit = Number(/^(\d+)Mi$/.exec(emptyDir.sizeLimit)?.[1] ?? 0) * 2 ** 20;
        if (limit < 4 * most) this.complain(`${name} has no room for four files`);
      }
      if (hostPath !== undefined && !/^\/(dev\/shm|run)\//.test(hostPath.path)) {
        this.complain(`${hostPath.path} is not in the node's memory`);
      }
    }
  }

  private checkVariables(container: Part): void {
    const known = new Set<string>();
    const { env = [], volumeMounts = [] } = container;
    for (const { name, value, valueFrom } of env) {
      const field = valueFrom?.fieldRef?.fieldPath;
      if (field !== undefined && !FIELD_PATHS.test(field)) this.complain(`fieldPath ${field}`);
      if ((value === undefined) === (valueFrom === undefined)) {
        this.complain(`${name} has no value, or two`);
      }
      this.checkReferences(value ?? "", known);
      known.add(name);
      const isKnown = isCollector(container)
        ? helpText.includes(name) || Object.keys(detectKubernetes({ [name]: "x" })).length > 0
        : OF_APPLICATIONS.includes(name) || !/^(OTEL|OTLP|K8S)_/.test(name);
      if (!isKnown) this.complain(`nobody reads ${name}`);
      if (this.workload.kind === "DaemonSet" && /^(K8S_)?(POD|CONTAINER|DEPLOYMENT)/.test(name)) {
        this.complain(`${name} of the collector would be taken for the application's`);
      }
    }
    for (const { subPathExpr = "" } of volumeMounts) this.checkReferences(subPathExpr, known);
  }

  private checkReferences(text: string, known: ReadonlySet<string>): void {
    for (const [, name] of text.matchAll(/\$\((\w+)\)/g)) {
      if (!known.has(name)) this.complain(`$(${name}) is not there yet`);
    }
  }

  private checkCollector(container: Part): void {
    let options: CollectOptions;
    try {
      options = readArguments(container.args, this.configOf(container), environmentOf(container));
    } catch (error) {
      if (!(error instanceof ArgumentsExit)) throw error;
      return this.complain(error.message);
    }
    const { paths, health, destinations, spool } = options;
    if (destinations === null) this.complain("prints instead of sending");
    const places = paths.length > 0 ? paths : [valueOf(container, "OTLP_MMAP_DIR") ?? ""];
    for (const place of places) this.checkPlace(container, place);
    this.checkSpool(container, spool);
    this.checkPorts(container, health?.address.host, health?.address.port);
    this.checkRights(container);
  }

  private configOf({ volumeMounts }: Part): string {
    const mount = volumeMounts.find((each: Part) =>
      CONFIG_PATH === `${each.mountPath}/config.yaml`
    );
    const volume = this.spec.volumes.find(({ name }: Part) => name === mount?.name);
    const map = this.documents.find(({ kind, metadata }) =>
      kind === "ConfigMap" && metadata.name === volume?.configMap?.name
    );
    if (map?.metadata.namespace !== this.workload.metadata.namespace) {
      this.complain("the ConfigMap is in another namespace");
    }
    return map?.data["config.yaml"] ?? "nothing is mounted there";
  }

  private checkPlace(container: Part, place: string): void {
    const { mount, volume } = this.volumeAt(container, place);
    const isMemory = volume?.emptyDir !== undefined || volume?.hostPath !== undefined;
    if (!isMemory || mount.readOnly || volume.name === SPOOL) {
      this.complain(`${container.name}: ${place} is no volume for files`);
    }
  }

  /** What is not delivered outlasts the container: on a disk, in a volume with room for it. */
  private checkSpool(container: Part, spool: SpoolSettings | null): void {
    const { mount, volume } = this.volumeAt(container, spool?.folder ?? "");
    if (volume?.name !== SPOOL || mount.readOnly) return this.complain("the spool has no volume");
    const { emptyDir, hostPath } = volume;
    const inMemory = emptyDir?.medium !== undefined || /^\/(dev|run|tmp)\//.test(hostPath?.path);
    if (inMemory) this.complain("the spool is not on a disk");
    // With the journal: its log, and a checkpoint beside it.
    const limit = Number(/^(\d+)Gi$/.exec(emptyDir?.sizeLimit)?.[1] ?? Infinity) * 2 ** 30;
    if (limit < spool!.maxBytes + 4 * LOG_BYTES) this.complain("the spool has no room");
  }

  private volumeAt({ volumeMounts }: Part, place: string): { mount: Part; volume: Part } {
    const mount = volumeMounts.find(({ mountPath }: Part) =>
      `${place}/`.startsWith(`${mountPath}/`)
    );
    return { mount, volume: this.spec.volumes.find((each: Part) => each.name === mount?.name) };
  }

  private checkPorts(container: Part, host: string | undefined, port: number | undefined): void {
    if (host !== "0.0.0.0") this.complain("the kubelet can't reach the health port");
    const declared = new Map(container.ports.map((each: Part) => [each.name, each.containerPort]));
    for (const probe of ["startupProbe", "livenessProbe", "readinessProbe"]) {
      const { path, port: asked } = container[probe]?.httpGet ?? {};
      const wanted = probe === "readinessProbe" ? ["/readyz", "/healthz"] : ["/healthz"];
      if (!wanted.includes(path)) this.complain(`${probe} asks for ${path}`);
      if ((declared.get(asked) ?? asked) !== port) {
        this.complain(`${probe} asks at ${asked}, the collector listens at ${port}`);
      }
    }
    const annotations = this.workload.spec.template.metadata.annotations ?? {};
    const scraped = annotations["prometheus.io/port"];
    if (scraped !== undefined && scraped !== `${port}`) this.complain(`scraped at ${scraped}`);
  }

  private checkRights({ securityContext }: Part): void {
    const { allowPrivilegeEscalation, capabilities, readOnlyRootFilesystem, runAsUser } =
      securityContext;
    if (allowPrivilegeEscalation !== false || readOnlyRootFilesystem !== true) {
      this.complain("the collector has more rights than it needs");
    }
    const { add = [], drop } = capabilities;
    const wanted = (runAsUser ?? this.spec.securityContext?.runAsUser) === 0 ? "DAC_OVERRIDE" : "";
    if (`${drop}` !== "ALL" || `${add}` !== wanted) this.complain(`capabilities: ${add}`);
  }

  /** Both containers: the same volume, directory and user. */
  private checkSidecar(): void {
    const places = new Set(this.containers.map((each) => valueOf(each, "OTLP_MMAP_DIR")));
    if (places.size !== 1) this.complain("the containers look in different places");
    const users = new Set(
      this.containers.map(({ securityContext }) =>
        securityContext.runAsUser ?? this.spec.securityContext.runAsUser
      ),
    );
    if (users.size !== 1) this.complain("the containers are different users");
    const sidecar = this.containers.find(isCollector);
    if (sidecar.restartPolicy !== "Always") this.complain("the sidecar is none");
    if (sidecar.readinessProbe?.httpGet?.path === "/readyz") {
      this.complain("a backend that is down would take the application out of service");
    }
  }
}

function valueOf({ env = [] }: Part, name: string): string | undefined {
  return env.find((each: Part) => each.name === name)?.value;
}

/** Variables with a value; others say something. */
function environmentOf({ env = [] }: Part): Environment {
  return Object.fromEntries(
    env.map(({ name, value }: Part) => [name, value ?? "name=something"]),
  );
}
