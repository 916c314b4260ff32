import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, it } from "node:test";
import { observe, startCollector } from "../../tests/support/collector.ts";
import { ownRuntime } from "../../tests/support/runtimes.ts";
import { until } from "../testing/run.ts";
import { parseWith } from "../program.ts";
import { CERTIFICATE } from "../testing/tls-fixture.ts";
import { ArgumentsExit } from "./arguments.ts";
import { addCollect } from "./options.ts";

const root = mkdtempSync(join(tmpdir(), "otlp-mmap-without-effect-"));
after(() => rmSync(root, { recursive: true }));
const ca = join(root, "ca.pem");
writeFileSync(ca, CERTIFICATE);
const config = join(root, "c.yaml");

/** What `collect` says of these options; of a file, by line and column alone. */
function said(text: string, env: Record<string, string> = {}, yaml?: string): string[] {
  const args = text.split(" ").filter((word) => word !== "");
  if (yaml !== undefined) {
    writeFileSync(config, yaml);
    args.push("--config", config);
  }
  let warnings: readonly string[] = [];
  try {
    parseWith(["collect", ...args], (program) =>
      addCollect(program, env, (options) => {
        warnings = options.warnings;
      }));
  } catch (error) {
    assert.ok(error instanceof ArgumentsExit, String(error));
    assert.equal(error.exitCode, 2);
    warnings = [`refused: ${error.message}`];
  }
  return warnings.map((warning) => warning.replaceAll(`${config}:`, ""));
}

const E = "OTEL_EXPORTER_OTLP";
const SEND = "--endpoint http://h";
const UNSENT = "nothing is sent to an endpoint";
const OPEN =
  "no endpoint is reached with TLS, so anybody on the way could read what is sent; write " +
  "https:// in the endpoint";
const UNSPOOLED = "requests are stored for an endpoint, and there is none";

describe("options without effect", () => {
  const cases: [options: string, says: string[], env?: Record<string, string>][] = [
    ["--protocol grpc", [`--protocol has no effect: ${UNSENT}`]],
    [
      "--header a=1 --compression gzip --timeout 1s --insecure --logs-header a=1",
      [`--insecure, --header, --compression, --timeout, --logs-header have no effect: ${UNSENT}`],
    ],
    [`--ca-file ${ca}`, [`--ca-file has no effect: ${UNSENT}`]],
    ["--logs-protocol grpc", [`--logs-protocol has no effect: ${UNSENT}`]],
    [
      "--traces-endpoint http://h --logs-protocol http/json --logs-header a=1",
      ["--logs-protocol, --logs-header have no effect: there is no endpoint for logs"],
    ],
    [
      `${SEND} --traces-endpoint http://t --metrics-endpoint http://m --logs-endpoint http://l`,
      ["--endpoint has no effect: each signal has its own endpoint"],
    ],
    [
      `${SEND} --protocol grpc --traces-protocol grpc --metrics-protocol grpc --logs-protocol grpc`,
      ["--protocol has no effect: each signal has its own protocol"],
    ],
    [
      `${SEND} --insecure`,
      [
        "--insecure has no effect: it is for endpoints of gRPC without http:// or https://, and " +
        "there is none",
      ],
    ],
    [
      `--endpoint https://h --protocol grpc --insecure`,
      [
        "--insecure has no effect: it is for endpoints of gRPC without http:// or https://, and " +
        "there is none",
      ],
    ],
    [`${SEND} --ca-file ${ca}`, [`refused: --ca-file has no effect: ${OPEN}`]],
    [
      `--ca-file ${ca} --protocol grpc --endpoint h --insecure`,
      [`refused: --ca-file has no effect: ${OPEN}`],
    ],
    [`--ca-file ${ca}`, [`--ca-file has no effect: ${OPEN}`], { [`${E}_ENDPOINT`]: "http://h" }],
    ["--spool /s", [`--spool has no effect: ${UNSPOOLED}`]],
    [
      "--spool-max-size 1GiB --spool-max-age 1h",
      [`--spool-max-size, --spool-max-age have no effect: ${UNSPOOLED}`],
    ],
    [
      `${SEND} --no-spool --spool-max-size 1GiB`,
      ["refused: --spool-max-size has no effect: there is to be no spool (--no-spool)"],
    ],
    [
      `${SEND} --once --spool-max-age 1h`,
      [
        "--spool-max-age has no effect: with --once there is a spool only where --spool names one",
      ],
    ],
    [
      `${SEND} --spool-max-size 1GiB`,
      ["--spool-max-size has no effect: there is to be no spool (OTLP_MMAP_SPOOL)"],
      { OTLP_MMAP_SPOOL: "none" },
    ],
    [
      `${SEND} --store-max-size 1GiB --store-max-age 1d`,
      [
        "refused: --store-max-size, --store-max-age have no effect: there is no store; --store asks " +
        "for one",
      ],
    ],
    [
      `${SEND} --ui-port 80`,
      ["refused: --ui-port has no effect: no page is served; --ui asks for one"],
    ],
    [
      "--ui-port 80",
      ["--ui-port has no effect: no page is served; --ui asks for one"],
      { [`${E}_ENDPOINT`]: "http://h" },
    ],
    [
      "--otlp-grpc-port 1 --otlp-allow-origin *",
      [
        "refused: --otlp-grpc-port, --otlp-allow-origin have no effect: nothing is received; " +
        "--otlp-receiver asks for that",
      ],
    ],
    [
      `${SEND} --once --metrics-interval 1s`,
      ["--metrics-interval has no effect: with --once metrics are sent at the end"],
    ],
    [
      "--logs-endpoint http://h --self-metrics",
      ["--self-metrics has no effect: there is no endpoint for metrics"],
    ],
  ];
  for (const [options, says, env] of cases) {
    it(`${options.replaceAll(ca, "FILE")} ${Object.keys(env ?? {})}`, () => {
      assert.deepEqual(said(options, env), says);
    });
  }

  it("are none where they have one", () => {
    for (
      const options of [
        "",
        "--no-spool",
        "--store-max-size 1GiB --ui-port 0",
        "--store --store-max-age 1d --self-metrics",
        "--otlp-receiver --otlp-http-port 0 --otlp-allow-origin *",
        `${SEND} --protocol http/json --header a=1 --compression gzip --timeout 1s`,
        `${SEND} --spool-max-size 1GiB --spool /s --metrics-interval 1s --self-metrics`,
        `${SEND} --no-spool --flush-interval 1s --batch-size 7 --ui --ui-port 0`,
        `${SEND} --once --spool /s --spool-max-age 1h --flush-interval 1s`,
        `${SEND} --logs-endpoint h --logs-protocol grpc --insecure`,
        `${SEND} --logs-endpoint https://h --ca-file ${ca}`,
        `${SEND} --traces-endpoint http://t --metrics-endpoint http://m`,
      ]
    ) assert.deepEqual(said(options), [], options);
  });

  it("are not looked for among variables", () => {
    const env = {
      [`${E}_ENDPOINT`]: "http://h",
      [`${E}_CERTIFICATE`]: ca,
      [`${E}_INSECURE`]: "true",
      [`${E}_LOGS_HEADERS`]: "a=1",
    };
    assert.deepEqual(said("", env), []);
    assert.deepEqual(said("", { [`${E}_PROTOCOL`]: "grpc", [`${E}_CERTIFICATE`]: ca }), []);
    assert.deepEqual(said("--once", { OTLP_MMAP_SPOOL: "none" }), []);
  });

  it("may be in a file, which keeps what is off; flags may override it", () => {
    assert.deepEqual(
      said(
        "",
        {},
        "collect:\n  endpoint: http://h\n  ui: false\n  ui_port: 80\n  no_spool: true\n" +
          "  spool_max_size: 1GiB\n",
      ),
      [
        "6:19: collect.spool_max_size has no effect: there is to be no spool (--no-spool)",
        "4:12: collect.ui_port has no effect: no page is served; --ui asks for one",
      ],
    );
    assert.deepEqual(said("", {}, `collect:\n  endpoint: http://h\n  ca_file: ${ca}\n`), [
      `refused: 3:12: collect.ca_file has no effect: ${OPEN}`,
    ]);
    assert.deepEqual(said(SEND, {}, `collect:\n  endpoint: https://h\n  ca_file: ${ca}\n`), [
      `3:12: collect.ca_file has no effect: ${OPEN}`,
    ]);
    const own =
      "collect: {traces_endpoint: http://t, metrics_endpoint: http://m, logs_endpoint: h}";
    assert.deepEqual(said(SEND, {}, own), []);
  });

  it("are said once by every command that has them", async () => {
    const idle = `--header has no effect: ${UNSENT}`;
    // Of two, the code depends on the machine.
    const commands: [args: string[], says: string, code?: number][] = [
      [["collect", "--once", "--header", "a=1", root], idle, 0],
      [["import", "--header", "a=1", "/dev/null"], idle, 0],
      [["recover", "--header", "a=1", "/dev/null"], idle, 2],
      [["doctor", "--header", "a=1", root], idle],
      [["run", "--header", "a=1", "--", "bun", "--version"], idle],
    ];
    await Promise.all(commands.map(async ([args, says, code]) => {
      const program = observe(ownRuntime, "collector/main.ts", args, {
        env: { XDG_STATE_HOME: root, OTEL_EXPORTER_OTLP_HEADERS: "b=2" },
      });
      const { code: ended } = await program.ended;
      const name = `${args.join(" ")}: ${program.text()}`;
      assert.equal(program.text().split("otlp-mmap: warn: ").length, 2, name);
      assert.equal(program.text().split(says).length, 2, name);
      assert.equal(ended, code ?? ended, name);
    }));
    const refused = observe(ownRuntime, "collector/main.ts", ["collect", "--otlp-http-port", "0"]);
    assert.deepEqual(await refused.ended, { code: 2, signal: null });
    assert.equal(
      refused.text(),
      "otlp-mmap: error: --otlp-http-port has no effect: nothing is received; --otlp-receiver asks " +
        "for that\n",
    );
  });

  it("are said again after SIGHUP only where they are new", async () => {
    const path = join(root, "reload.yaml");
    // Lines and columns change, and nothing else: no option is another then.
    const write = (more: string, above = ""): void =>
      writeFileSync(
        path,
        `${above}collect: {endpoint: http://127.0.0.1:1, spool: false, health: "127.0.0.1:0", ` +
          'prometheus: "127.0.0.1:0", otlp_receiver: true, otlp_http_port: 0, otlp_grpc_port: 0, ' +
          `ui_port: 80${more}}\n`,
      );
    write("");
    const collector = startCollector([mkdtempSync(join(root, "files-")), "--config", path]);
    const times = (text: string): number => collector.text().split(text).length - 1;
    const hangUp = async (count: number): Promise<void> => {
      process.kill(collector.child.pid!, "SIGHUP");
      await until("it is read", () => times("was read again") === count);
    };
    try {
      // By then it can be told to read it again.
      await collector.wrote(/health is served/);
      assert.equal(times("collect.ui_port has no effect"), 1, collector.text());
      write("", "# above\n");
      await hangUp(1);
      write(", insecure: true");
      await hangUp(2);
      await until("it is said", () => times("collect.insecure has no effect") === 1);
      assert.equal(times("collect.ui_port has no effect"), 1, collector.text());
      assert.equal(times("with a restart only"), 0, collector.text());
    } finally {
      await collector.stop("SIGKILL");
    }
  });

  it("are those of tail as well", async () => {
    const program = observe(ownRuntime, "collector/main.ts", [
      "tail",
      "--metrics-interval=1s",
      root,
    ]);
    await program.wrote(/--metrics-interval has no effect: metrics are shown with --metrics only/);
    // It may not follow yet: how it ends is no matter.
    await program.stop("SIGKILL");
    assert.equal(program.text().split("has no effect").length, 2, program.text());
  });
});
