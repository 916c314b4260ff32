/**
 * The examples of deploy/: their arguments, ports, volumes and names are ones that the collector,
 * Kubernetes and systemd have, as far as this machine can tell, and agree.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { ArgumentsExit } from "../collector/options/arguments.ts";
import { readConfiguration } from "../collector/config/file.ts";
import denoJson from "../deno.json" with { type: "json" };
import packageJson from "../package.json" with { type: "json" };
import { TARGETS } from "../tools/compile-bun.ts";
import { ROOT } from "../tools/runtimes.ts";
import {
  CONFIG_PATH,
  containersOf,
  isCollector,
  type Part,
  problemsOf,
  readArguments,
  readDocuments,
} from "./support/manifests.ts";
import { launchOf, ownRuntime } from "./support/runtimes.ts";
import { outputOf } from "./support/shell.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-deploy-"));
after(() => rmSync(directory, { recursive: true }));

function read(name: string): string {
  return readFileSync(join(ROOT, name), "utf8");
}

const MANIFESTS = ["sidecar", "daemonset", "application"].map((name) =>
  `deploy/kubernetes/${name}.yaml`
);

/** The configuration files of ours in the examples, by where they are. */
function configurations(): Map<string, string> {
  const found = new Map<string, string>();
  for (const name of ["deploy/config.yaml", "deploy/gateway/edge.yaml"]) {
    found.set(name, read(name));
  }
  for (const name of MANIFESTS) {
    for (const { kind, data } of readDocuments(read(name))) {
      if (kind === "ConfigMap") found.set(name, data["config.yaml"]);
    }
  }
  return found;
}

describe("configuration files of deploy/", () => {
  const found = configurations();

  for (const [name, text] of found) {
    it(`pass config check: ${name}`, () => {
      const path = join(directory, `${name.replaceAll("/", "-")}`);
      writeFileSync(path, text);
      const args = ["config", "check", path];
      const launch = launchOf(ownRuntime, join(ROOT, "collector/main.ts"), args);
      const { status, stdout, stderr } = spawnSync(launch.command, launch.args, {
        ...launch,
        encoding: "utf8",
      });
      assert.deepEqual({ status, stdout, stderr }, {
        status: 0,
        stdout: `${path}: ok\n`,
        stderr: "",
      });
    });
  }
});

describe("Kubernetes manifests", () => {
  for (const name of MANIFESTS) {
    it(`agree with themselves and with the collector: ${name}`, () => {
      assert.deepEqual(problemsOf(readDocuments(read(name))), []);
    });
  }

  it("of an application and of its node's collector name one directory of the node", () => {
    const [collector, application] = ["daemonset", "application"].map((name) =>
      readDocuments(read(`deploy/kubernetes/${name}.yaml`))
        .flatMap(({ spec }) => spec?.template.spec.volumes ?? [])
        .find(({ hostPath }: Part) => hostPath !== undefined).hostPath.path
    );
    assert.equal(application, collector);
  });

  /** What is said of a manifest after a change of its text. */
  function problemsAfter(name: string, from: string, to: string): string {
    const text = read(`deploy/kubernetes/${name}.yaml`);
    assert(text.includes(from), from);
    return problemsOf(readDocuments(text.replace(from, to))).join("\n");
  }

  for (
    const [name, from, to, said] of [
      ["sidecar", "--health=", "--healt=", /unknown option '--healt' /],
      [
        "sidecar",
        "0.0.0.0:13133",
        "0.0.0.0:13134",
        /asks at health, the collector listens at 13134/,
      ],
      ["sidecar", "0.0.0.0:13133", "127.0.0.1:13133", /the kubelet can't reach the health port/],
      ["sidecar", "medium: Memory", "medium: Disk", /is not in memory/],
      ["sidecar", "sizeLimit: 256Mi", "sizeLimit: 64Mi", /has no room for four files/],
      ["sidecar", "- --spool=/var", "- --spool=/otlp-mmap/var", /the spool has no volume/],
      ["sidecar", "sizeLimit: 1Gi", "medium: Memory", /the spool is not on a disk/],
      ["sidecar", "=256MiB", "=1GiB", /the spool has no room/],
      ["daemonset", "/var/lib/otlp-mmap-collector", "/dev/shm/spool", /the spool is not on a disk/],
      ["sidecar", "value: /otlp-mmap/files", "value: /otlp-mmap", /look in different places/],
      ["sidecar", "detect: [kubernetes]", "detect: [k8s]", /resource\.detect/],
      ["sidecar", "K8S_POD_NAME", "K8S_POD", /nobody reads K8S_POD$/m],
      [
        "sidecar",
        "mountPath: /etc/otlp-mmap",
        "mountPath: /etc/otlp",
        /config\.yaml:1:1: the file must be a mapping/,
      ],
      ["sidecar", "path: /healthz", "path: /health", /startupProbe asks for \/health$/m],
      ["daemonset", "- name: config\n", "- name: configuration\n", /no volume configuration/],
      ["daemonset", "add: [DAC_OVERRIDE]", "add: [SYS_ADMIN]", /capabilities: SYS_ADMIN/],
      ["daemonset", 'port: "13133"', 'port: "9464"', /scraped at 9464/],
      ["daemonset", '["/otlp-mmap/*"]', '["/files/*"]', /is no volume for files/],
      ["daemonset", "name: K8S_NODE_NAME", "name: K8S_POD_NAME", /taken for the application's/],
      [
        "application",
        "$(POD_UID)\n      volumes",
        "$(UID)\n      volumes",
        /\$\(UID\) is not there/,
      ],
    ] as const
  ) {
    it(`are refused: ${name} with ${to.trim()} for ${from.trim()}`, () => {
      assert.match(problemsAfter(name, from, to), said);
    });
  }

  if (outputOf("kubectl", "version", "--client") !== undefined) {
    it("have no field that Kubernetes does not know", () => {
      for (const name of MANIFESTS) {
        for (const document of readDocuments(read(name))) {
          if (document.apiVersion !== "apps/v1") continue;
          const known = JSON.parse(throughKubectl(document));
          assert.deepEqual(lost(document, known, document.kind), [], name);
        }
      }
    });

    it("are refused with one", () => {
      const [, document] = readDocuments(read(MANIFESTS[0]));
      containersOf(document).find(isCollector).readynessProbe = {};
      assert.match(
        `${lost(document, JSON.parse(throughKubectl(document)), "")}`,
        /readynessProbe$/,
      );
    });
  }

  /** A document as the types of Kubernetes have it. */
  function throughKubectl(document: Part): string {
    const path = join(directory, "document.json");
    writeFileSync(path, JSON.stringify(document));
    const said = outputOf("kubectl", "set", "env", "--local", "-f", path, "-o", "json", "LAST=1");
    assert(said !== undefined, `kubectl does not take ${document.metadata.name}`);
    return said;
  }
});

/** Where something of `from` is missing in `to`, or differs. */
function lost(from: Part, to: Part, path: string): string[] {
  if (typeof from !== "object" || from === null) return from === to ? [] : [path];
  if (typeof to !== "object" || to === null) return [path];
  return Object.entries(from).flatMap(([key, value]) => lost(value, to[key], `${path}.${key}`));
}

describe("the systemd unit", () => {
  const text = read("deploy/otlp-mmap.service");
  const settings = (name: string): string[] =>
    [...text.matchAll(new RegExp(`^${name}=(.*)$`, "gm"))].map(([, value]) => value);

  it("checks the configuration before a start and a reload, and collects by it", () => {
    const [check, ...rest] = settings("ExecStartPre");
    assert.deepEqual([check, rest], [`/usr/local/bin/otlp-mmap config check ${CONFIG_PATH}`, []]);
    assert.deepEqual(settings("ExecReload"), [check, "/bin/kill -HUP $MAINPID"]);
    const [command, name, ...args] = settings("ExecStart")[0].split(" ");
    assert.deepEqual([command, name], ["/usr/local/bin/otlp-mmap", "collect"]);
    const options = readArguments([name, ...args], read("deploy/config.yaml"));
    // As root, every user's default place.
    assert.deepEqual(options.paths, []);
    assert.deepEqual(options.health?.address, { host: "127.0.0.1", port: 13133 });
    assert.match(read("DEPLOYING.md"), /curl -fsS http:\/\/127\.0\.0\.1:13133\/readyz$/m);
    assert.throws(
      () => readArguments([name, ...args, "--heath", "1"], read("deploy/config.yaml")),
      ArgumentsExit,
    );
  });

  if (outputOf("systemd-analyze", "--version") !== undefined) {
    /** The unit, in a file of its own, with a program that is there. */
    const unit = (change: (text: string) => string): string => {
      const path = join(directory, "otlp-mmap.service");
      writeFileSync(path, change(text.replaceAll("/usr/local/bin/otlp-mmap", "/bin/true")));
      return path;
    };
    const verify = (path: string): string => {
      const { stdout, stderr } = spawnSync("systemd-analyze", ["verify", "--man=no", path], {
        encoding: "utf8",
      });
      return `${stdout}${stderr}`.split("\n").filter((line) => line.includes("otlp-mmap")).join(
        "\n",
      );
    };

    it("is one that systemd understands", () => {
      assert.equal(verify(unit((same) => same)), "");
      assert.match(
        verify(unit((right) => right.replace("ProtectClock", "ProtectClocks"))),
        /Clocks/,
      );
    });

    it("leaves little to an attacker", () => {
      const path = unit((same) => same);
      const { status, stdout, stderr } = spawnSync(
        "systemd-analyze",
        ["security", "--offline=true", "--threshold=32", path],
        { encoding: "utf8" },
      );
      assert.equal(status, 0, `${stdout}${stderr}`);
    });
  }
});

describe("the image", () => {
  const lines = read("deploy/Dockerfile").split("\n");
  const all = (word: string): string[] =>
    lines.filter((line) => line.startsWith(`${word} `)).map((line) => line.slice(word.length + 1));

  it("has the binaries that compile:bun makes, for the architectures of Docker", () => {
    const stages = all("FROM").map((stage) => / AS (\w+)$/.exec(stage)?.[1] ?? stage);
    assert.deepEqual(stages, ["amd64", "arm64", "${TARGETARCH}"]);
    const copied = all("COPY").map((copy) =>
      /^--chmod=0755 otlp-mmap-(\S+) (\S+)$/.exec(copy)!.slice(1)
    );
    const [entry] = JSON.parse(all("ENTRYPOINT")[0]);
    assert.deepEqual(copied, [["linux-x64", entry], ["linux-arm64", entry]]);
    for (const [target] of copied) assert(TARGETS.includes(target), target);
  });

  it("collects as a user without rights, where the port that it names is", () => {
    assert.deepEqual(all("USER"), ["65532:65532"]);
    const { health } = readArguments(JSON.parse(all("CMD")[0]), "");
    assert.deepEqual(health?.address, { host: "0.0.0.0", port: Number(all("EXPOSE")[0]) });
  });
});

describe("gateways", () => {
  for (const name of ["balancer", "sampler"]) {
    it(`use what they define, and define what they use: ${name}`, () => {
      const [config] = readDocuments(read(`deploy/gateway/${name}.yaml`));
      const { extensions, pipelines } = config.service;
      const used = (kind: string): string[] =>
        [...new Set(Object.values(pipelines).flatMap((each) => (each as Part)[kind] ?? []))].sort();
      for (const kind of ["receivers", "processors", "exporters"]) {
        assert.deepEqual(used(kind), Object.keys(config[kind]).sort(), kind);
      }
      assert.deepEqual(extensions, Object.keys(config.extensions));
    });
  }

  it("send whole traces to those who sample, at the port where these listen", () => {
    const [balancer] = readDocuments(read("deploy/gateway/balancer.yaml"));
    const [sampler] = readDocuments(read("deploy/gateway/sampler.yaml"));
    const { routing_key, resolver } = balancer.exporters.loadbalancing;
    assert.equal(routing_key, "traceID");
    assert.deepEqual(balancer.service.pipelines.traces.exporters, ["loadbalancing"]);
    const { endpoint } = sampler.receivers.otlp.protocols.grpc;
    assert.equal(endpoint, `0.0.0.0:${resolver.dns.port}`);
    assert(sampler.service.pipelines.traces.processors.includes("tail_sampling"));
  });

  it("listen where the edge sends, which leaves sampling to them", () => {
    const path = join(ROOT, "deploy/gateway/edge.yaml");
    const { destinations } = readArguments(
      ["collect", "--config", CONFIG_PATH],
      read("deploy/gateway/edge.yaml"),
    );
    const [balancer] = readDocuments(read("deploy/gateway/balancer.yaml"));
    const { port } = new URL(destinations!.traces[0].url);
    assert.equal(balancer.receivers.otlp.protocols.http.endpoint, `0.0.0.0:${port}`);
    assert.equal(readConfiguration(path, () => {}).tailSampling, null);
  });
});

describe("packages", () => {
  it("leave deploy/ out", () => {
    for (const entry of [...packageJson.files, ...denoJson.publish.include]) {
      assert.doesNotMatch(entry, /^(deploy|DEPLOYING|\.?\/?$)/i);
    }
  });
});
