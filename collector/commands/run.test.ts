/** `run` as its users see it: a program of either runtime, its exit, its signals, the report. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { after, describe, it } from "node:test";
import packageJson from "../../package.json" with { type: "json" };
import { startSink } from "../../tests/peers/sink.ts";
import {
  isInterrupted,
  logsReceivedBy,
  observe,
  type Observed,
  receivedBy,
} from "../../tests/support/collector.ts";
import { launchOf, ownRuntime, type RuntimeName } from "../../tests/support/runtimes.ts";
import { bunPath, denoPath, ROOT } from "../../tools/runtimes.ts";

const root = mkdtempSync(join(tmpdir(), "otlp-mmap-run-test-"));
after(() => rmSync(root, { recursive: true }));

const COMMANDS: Record<RuntimeName, string[]> = {
  bun: [bunPath()],
  deno: [denoPath(), "run", "--allow-all", "--quiet", "--no-check"],
};
const APP = join(ROOT, "tests/testdata/run_app.ts");
/** Deno finds its packages there, also where the collector has nothing else. */
const env = { HOME: process.env.HOME ?? root };
const runtimes = ["bun", "deno"] as const;

/** Runs the test's program below the collector. */
function run(
  runtime: RuntimeName,
  args: string[],
  flags: string[] = [],
  shell?: string,
): Observed {
  const command = [...COMMANDS[runtime], APP, ...args];
  return observe(ownRuntime, "collector/main.ts", ["run", ...flags, "--", ...command], {
    env,
    shell,
  });
}

/** The program's process id, once it is at work. */
async function pidOf(running: Observed): Promise<number> {
  await running.wrote(/^pid \d+$/m);
  return Number(/^pid (\d+)$/m.exec(running.text())![1]);
}

describe("run", () => {
  for (const runtime of runtimes) {
    it(`gives the exit code of a ${runtime} program, and is quiet about one that went well`, async () => {
      const well = run(runtime, ["exit", "0"]);
      assert.deepEqual(await well.ended, { code: 0, signal: null });
      assert.match(well.text(), /^pid \d+\n$/);
      const failed = run(runtime, ["exit", "3"]);
      assert.deepEqual(await failed.ended, { code: 3, signal: null });
      assert.match(failed.text(), / exit 3 ended with 3\. This is what it was doing\.$/m);
    });

    it(`says what a ${runtime} program was doing that was killed`, async () => {
      const running = run(runtime, ["wait"]);
      const pid = await pidOf(running);
      process.kill(pid, "SIGKILL");
      assert.deepEqual(await running.ended, { code: 137, signal: null });
      const text = running.text();
      const report = text.slice(text.indexOf("Open spans:"));
      assert.match(
        text,
        /^otlp-mmap: .* wait was killed by SIGKILL\. This is what it was doing\.$/m,
      );
      const name = String.raw`unknown_service:\S+`;
      const logs = Array.from(
        { length: 10 },
        (_, i) => String.raw`  \S+Z INFO ${name} "step ${i + 2}" trace=\w{32}\n`,
      );
      assert.match(
        report,
        new RegExp(
          String.raw`^Open spans:\n` +
            String.raw`  ${name} request \S+ trace=\w{32} http\.route="/items"\n` +
            String.raw`  ├─ query \S+\n` +
            String.raw`  │  └─ connect \S+\n` +
            String.raw`  └─ render \S+ event="first byte"\n` +
            String.raw`Last log records:\n${logs.join("")}` +
            String.raw`Lost:\n  nothing\n$`,
        ),
      );
    });

    it(`shows what a ${runtime} program died of`, async () => {
      for (
        const [how, what] of [["throw", "uncaught exception"], ["reject", "unhandled rejection"]]
      ) {
        const failed = run(runtime, [how]);
        assert.equal((await failed.ended).code, 1, failed.text());
        const [, report] = failed.text().split("Last log records:\n");
        assert.match(report, new RegExp(`FATAL .*"${what}: TypeError: out of stock".*exception`));
      }
    });

    it(`passes SIGTERM on to a ${runtime} program, once`, async () => {
      const caught = run(runtime, ["count", "7"]);
      await pidOf(caught);
      assert.deepEqual(await caught.stop("SIGTERM"), { code: 7, signal: null });
      assert.match(caught.text(), /^SIGTERM 1 times, terminal: false$/m);
      const ended = run(runtime, ["wait"]);
      await pidOf(ended);
      assert.deepEqual(await ended.stop("SIGTERM"), { code: 143, signal: null });
      // Whoever ended it knows why.
      assert.match(ended.text(), /^pid \d+\n$/);
    });

    it(`gives standard input to a ${runtime} program`, async () => {
      const file = join(root, `${runtime}-input`);
      writeFileSync(file, "a line\n");
      const running = run(runtime, ["echo"], [], `exec < '${file}'`);
      assert.equal((await running.ended).code, 0, running.text());
      assert.match(running.text(), /^a line$/m);
    });

    it(`sends what a ${runtime} program recorded, before it ends`, async () => {
      const sink = await startSink();
      try {
        const running = run(runtime, ["exit", "0"], ["--endpoint", sink.url]);
        assert.equal((await running.ended).code, 0, running.text());
        assert.match(running.text(), /^pid \d+\n$/);
        const spans = receivedBy(sink);
        assert.deepEqual(
          spans.map((each) => `${each.span.name} ${isInterrupted(each)}`).sort(),
          ["connect true", "done false", "query true", "render true", "request true"],
        );
        assert.equal(logsReceivedBy(sink).length, 12);
      } finally {
        await sink.stop();
      }
    });
  }

  it("leaves what others find when it is killed, and nothing to them while it lives", async () => {
    const inspect = async (): Promise<string> => {
      const command = observe(ownRuntime, "collector/main.ts", ["inspect"]);
      await command.ended;
      return command.text();
    };
    const running = run(ownRuntime, ["wait"]);
    const pid = await pidOf(running);
    assert.doesNotMatch(await inspect(), new RegExp(`process ${pid}\\b`));
    process.kill(running.child.pid!, "SIGKILL");
    process.kill(pid, "SIGKILL");
    await running.ended;
    const [, place] =
      new RegExp(`^(\\S+/otlp-mmap-run-\\w+)/files/.*(?:\\n.+)*process ${pid}\\b`, "m")
        .exec(await inspect()) ?? [];
    assert(place !== undefined, await inspect());
    const collector = observe(ownRuntime, "collector/main.ts", [
      ...["collect", "--once", "--print"],
      join(place, "files"),
    ]);
    assert.equal((await collector.ended).code, 0, collector.text());
    assert(existsSync(place));
    await run(ownRuntime, ["exit", "0"]).ended;
    assert(!existsSync(place), "the next run removes what is empty");
  });

  it("says what could not be sent, and where the files are", async () => {
    const running = run("bun", ["wait"], ["--endpoint", "http://127.0.0.1:1"]);
    const pid = await pidOf(running);
    await running.wrote(/retrying/);
    process.kill(pid, "SIGKILL");
    // The program is gone, so that this is for the collector: the end of its patience.
    await new Promise((wake) => setTimeout(wake, 500));
    assert.deepEqual(await running.stop("SIGTERM"), { code: 137, signal: null });
    const place = /not all was sent; for what is left: otlp-mmap collect (\S+)$/m
      .exec(running.text())?.[1];
    assert(place !== undefined, running.text());
    try {
      assert.match(running.text(), /^Lost:\n {2}5 spans not delivered\n {2}12 log records not/m);
      const collector = observe(ownRuntime, "collector/main.ts", ["collect", "--once", place]);
      assert.equal((await collector.ended).code, 0, collector.text());
      assert.match(collector.text(), /^otlp-mmap: 0 spans from 1 file/m);
    } finally {
      rmSync(dirname(place), { recursive: true });
    }
  });

  it("ends with 2 for what it can't preload the SDK into, and with 127 for what is not there", async () => {
    const attempt = async (...command: string[]): Promise<[number | null, string]> => {
      const running = observe(ownRuntime, "collector/main.ts", ["run", "--", ...command], { env });
      const { code } = await running.ended;
      return [code, running.text()];
    };
    const [node, about] = await attempt("node", APP);
    assert.equal(node, 2);
    assert.match(about, /"node" is none of deno, bun and a file of TypeScript or JavaScript/);
    const [task, why] = await attempt("deno", "task", "start");
    assert.equal(task, 2);
    assert.match(why, /"deno task" starts no program that the SDK could be preloaded into/);
    const [missing, what] = await attempt(join(root, "bun"), APP);
    assert.equal(missing, 127);
    assert.match(what, /there is no \S+\/bun$/m);
  });

  it("leaves the program's arguments alone, and no folder behind", async () => {
    const file = join(root, "args.ts");
    writeFileSync(
      file,
      "console.log(JSON.stringify(process.argv.slice(2)));\n" +
        "console.log(process.env.OTLP_MMAP_DIR, process.env.SDK_MMAP_EXPORTER_FILE);\n",
    );
    const args = ["-h", "--", "--version", "--endpoint", "x", "--", ""];
    const running = observe(
      ownRuntime,
      "collector/main.ts",
      ["run", "--", bunPath(), file, ...args],
      { env: { ...env, OTLP_MMAP_DIR: root, SDK_MMAP_EXPORTER_FILE: join(root, "one.otlp") } },
    );
    assert.equal((await running.ended).code, 0, running.text());
    const [given, place] = running.text().split("\n");
    assert.equal(given, JSON.stringify(args));
    const [, folder] = /^(\/.*\/otlp-mmap-run-\w+)\/files undefined$/.exec(place) ?? [];
    assert(folder !== undefined, place);
    assert(!existsSync(folder));
  });

  it("runs a file by what lies above it", async () => {
    for (const [mark, expected] of [["deno.json", "deno"], ["bunfig.toml", "bun"]]) {
      const folder = join(root, mark, "below");
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(root, mark, mark), mark === "deno.json" ? "{}" : "");
      const file = join(folder, "app.ts");
      writeFileSync(
        file,
        'console.log("Bun" in globalThis ? "bun" : "deno", ...process.argv.slice(2));',
      );
      const running = observe(
        ownRuntime,
        "collector/main.ts",
        ["run", "--", file, "x"],
        { env: { ...env, PATH: `${dirname(bunPath())}:${dirname(denoPath())}` } },
      );
      await running.ended;
      assert.equal(running.text(), `${expected} x\n`);
    }
  });

  if (process.platform === "linux") {
    /**
     * What a program says of the signals that it gets in a terminal, where `interrupt` is called with
     * its process id, and with what types there.
     */
    const inTerminal = async (
      interrupt: (pid: number, type: (keys: string) => void) => void,
      redirection = "",
    ): Promise<string> => {
      const command = ["run", "--", ...COMMANDS[ownRuntime], APP, "count", "5"];
      const launch = launchOf(ownRuntime, join(ROOT, "collector/main.ts"), command, { env });
      const words = [launch.command, ...launch.args].map((word) => `'${word}'`);
      // In place of the shell, which may end by the Ctrl-C itself.
      const line = `exec ${words.join(" ")} ${redirection}`;
      const child = spawn("script", ["--quiet", "--return", "--command", line, "/dev/null"], {
        cwd: launch.cwd,
        env: { ...process.env, ...launch.env },
        stdio: ["pipe", "pipe", "inherit"],
      });
      let text = "";
      child.stdout.setEncoding("utf8").on("data", (piece: string) => {
        text += piece;
        const [, pid] = /pid (\d+)/.exec(piece) ?? [];
        if (pid !== undefined) interrupt(Number(pid), (keys) => child.stdin.write(keys));
      });
      const code = await new Promise((resolve) => child.once("close", resolve));
      assert.equal(code, 5, text);
      return text;
    };

    const parentOf = (pid: number): number =>
      Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]);

    it("gives the program the terminal, whose Ctrl-C comes once", async () => {
      const text = await inTerminal((_, type) => type("\x03"));
      assert.match(text, /SIGINT 1 times, terminal: true/);
    });

    it("lets Ctrl-C come once also where the program's input is no terminal", async () => {
      const text = await inTerminal((_, type) => type("\x03"), "< /dev/null");
      assert.match(text, /SIGINT 1 times, terminal: false/);
    });

    it("passes on a signal that is sent to it alone, in a terminal too", async () => {
      const text = await inTerminal((pid) => process.kill(parentOf(pid), "SIGINT"));
      assert.match(text, /SIGINT 1 times, terminal: true/);
    });

    it("passes on no signal that the whole process group gets", async () => {
      // As whoever leads a session, it leads a group.
      const text = await inTerminal((pid) => process.kill(-parentOf(pid), "SIGTERM"));
      assert.match(text, /SIGTERM 1 times, terminal: true/);
    });
  }

  for (const runtime of runtimes) {
    it(`brings the SDK for a ${runtime} program that has none`, async () => {
      const place = join(root, `alone-${runtime}`);
      mkdirSync(place);
      const { dependencies } = packageJson;
      let program = readFileSync(APP, "utf8");
      for (const name of ["@opentelemetry/api", "@opentelemetry/api-logs"] as const) {
        const path = runtime === "deno"
          ? `npm:${name}@${dependencies[name]}`
          : join(ROOT, "node_modules", name);
        program = program.replace(`"${name}"`, JSON.stringify(path));
      }
      const file = join(place, "app.ts");
      writeFileSync(file, program);
      const command = ["run", "--", ...COMMANDS[runtime], file, "exit", "3"];
      const running = observe(ownRuntime, "collector/main.ts", command, { env });
      assert.equal((await running.ended).code, 3, running.text());
      assert.match(running.text(), /├─ query /);
    });
  }
});
