import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, it } from "node:test";
import { startSink } from "../../tests/peers/sink.ts";
import { observe, type ObserveOptions, startCollector } from "../../tests/support/collector.ts";
import { type Program, startProgram } from "../../tests/support/programs.ts";
import { ownRuntime } from "../../tests/support/runtimes.ts";
import { isInMemory } from "../delivery/spool-place.ts";
import { openStore } from "../store/store.ts";
import { until } from "../testing/run.ts";
import { checkPlace } from "./places.ts";
import { checkSelf } from "./self-test.ts";
import { checkClock, checkForeignFunctions, checkLimits, checkRuntime } from "./system.ts";

const root = mkdtempSync(join(tmpdir(), "otlp-mmap-doctor-test-"));
after(() => rmSync(root, { recursive: true }));

let count = 0;
function newPlace(): string {
  const path = join(root, String(++count));
  mkdirSync(path, { mode: 0o700 });
  return path;
}

interface Answer {
  readonly code: number | null;
  readonly lines: string[];
}

/** Runs the command to its end; what is not the same on every machine is replaced. */
async function doctor(
  args: readonly string[],
  place: string,
  options: ObserveOptions = {},
): Promise<Answer> {
  const command = observe(ownRuntime, "collector/main.ts", ["doctor", ...args], {
    ...options,
    env: { OTLP_MMAP_DIR: place, XDG_STATE_HOME: join(root, "state"), ...options.env },
  });
  const { code } = await command.ended;
  const text = command.text().replaceAll(place, "PLACE").replaceAll(join(root, "state"), "STATE")
    .replaceAll(tmpdir(), "TMP")
    .replace(/(Deno|Bun) \d+\.\d+\.\d+ on \w+ \w+/, "RUNTIME")
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/, "TIME")
    .replace(/[\d.]+ [GMT]iB are free/, "SIZE are free")
    .replace(/[\d,]+ files may be open$/m, "N files may be open")
    .replace(/user \d+/g, "user UID")
    .replace(/process \d+/g, "process PID");
  return { code, lines: text.trimEnd().split("\n") };
}

const HEALTHY = [
  "ok   runtime    RUNTIME",
  "ok   ffi        functions of the C library can be called",
  "ok   clock      it is TIME",
  "ok   place      PLACE: a directory of user UID, mode 0700",
  "ok   space      SIZE are free at PLACE; an application's file takes 14.1 MiB",
  "ok   limits     N files may be open",
  "ok   limits     files may have any size",
  "ok   leftovers  no records of processes that ended wait to be read",
  "ok   collector  no application is writing, so there is nothing to read",
  "ok   endpoint   none is set (--endpoint), so a collector shows what it reads on a page",
  "ok   store      STATE/otlp-mmap/store.db: not there yet; it can be made",
  "ok   self-test  a span, a log record and a measurement were written and read in TMP",
];

/** The lines of a check. */
function about(name: string, { lines }: Answer): string[] {
  return lines.filter((line) => line.slice(5).startsWith(`${name} `));
}

async function listen(
  onSocket: (socket: Socket) => void,
): Promise<{ server: Server; url: string }> {
  const server = createServer(onSocket);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

describe("doctor", () => {
  it("says ok to everything where everything is, and leaves nothing behind", async () => {
    const place = newPlace();
    const folders = (): string[] =>
      readdirSync(tmpdir()).filter((name) => /^otlp-mmap-doctor-\w{6}$/.test(name));
    const before = folders();
    const { code, lines } = await doctor([], place);
    assert.deepEqual(lines, HEALTHY);
    assert.equal(code, 0);
    assert.deepEqual(readdirSync(place), []);
    // Those of others who are tested at the same time go away.
    const left = (): string[] => folders().filter((name) => !before.includes(name));
    for (const deadline = Date.now() + 20_000; left().length > 0 && Date.now() < deadline;) {
      await new Promise((wake) => setTimeout(wake, 50));
    }
    assert.deepEqual(left(), []);
  });

  it("says what the database has, or why it can't be used", async () => {
    const state = join(newPlace(), "state");
    const place = newPlace();
    const env = { XDG_STATE_HOME: state };
    const path = join(state, "otlp-mmap/store.db");
    openStore({ path, maxBytes: 2 ** 30, maxAgeMs: 1e9 }).close();
    const [good] = about("store", await doctor([], place, { env }));
    assert.match(good, /^ok .*store\.db: 0\.\d MiB, 0 spans, 0 log records, 0 points$/);
    writeFileSync(path, "no database ".repeat(10_000));
    const answer = await doctor([], place, { env });
    assert.match(about("store", answer)[0], /^bad .*is damaged, or no database/);
    assert.equal(answer.code, 1);
    const endpoint = ["--endpoint", "http://127.0.0.1:1"];
    assert.deepEqual(about("store", await doctor(endpoint, place, { env })), []);
  });

  it("says where the spool is and what is in it, or why it can't be used", async () => {
    const folder = newPlace();
    const spool = async (...args: string[]): Promise<string> => {
      const endpoint = ["--endpoint", "http://127.0.0.1:1", ...args];
      return about("spool", await doctor(endpoint, newPlace())).join("\n");
    };
    // Wherever the temporary directory is.
    const where = isInMemory(root) ? "in memory and does not" : "on a disk; nothing waits in it; ";
    const size = ["--spool-max-size", "1MiB"];
    assert.match(await spool("--spool", folder, ...size), new RegExp(where));
    if (!isInMemory(root)) {
      assert.match(
        await spool("--spool", join(folder, "new")),
        /new: not there yet; \S+ .iB are free /,
      );
      const segment = "000000000001-0123abcd.1-0123abcd.seg";
      mkdirSync(join(folder, "endpoints/a-1/traces"), { recursive: true });
      writeFileSync(join(folder, "endpoints/a-1/traces", segment), new Uint8Array(2048));
      assert.match(await spool("--spool", folder), /^ok .*; segments of 2\.0 KiB are in it; /);
      assert.match(
        await spool("--spool", folder, "--spool-max-size", "1000TiB"),
        /^bad .* for up to 1000\.0 TiB: free some, or give a smaller --spool-max-size$/,
      );
    }
    assert.match(
      await spool("--spool", "/dev/null/spool"),
      /^bad .*\/dev\/null\/spool can't be made, since \/dev\/null is a file: name a directory/,
    );
    assert.equal(await spool("--no-spool"), "");
  });

  it("gives the same as JSON", async () => {
    const { code, lines } = await doctor(["--json"], newPlace());
    assert.equal(code, 0);
    assert.equal(lines.length, 1);
    const { ok, checks } = JSON.parse(lines[0]);
    assert.equal(ok, true);
    assert.deepEqual(checks[1], {
      name: "ffi",
      ok: true,
      text: "functions of the C library can be called",
    });
    assert.equal(checks.length, HEALTHY.length);
  });

  it("finds what nobody reads: of the living, and of the dead", async () => {
    const place = newPlace();
    const programs: Program[] = [];
    try {
      for (let i = 0; i < 2; i++) {
        const program = await startProgram("process.ts");
        programs.push(program);
        await program.ask({ op: "start", options: { directory: place } });
        await program.ask({ op: "spans", from: 0, count: 5 });
      }
      await programs[0].stop("kill");
      writeFileSync(join(place, "broken.otlp"), "hello, world, how are you");
      const found = await doctor([], place);
      assert.equal(found.code, 1);
      assert.deepEqual(about("leftovers", found), [
        "bad  leftovers  1 file of processes that ended (14.1 MiB) with 20 records that nobody has " +
        "read: run `otlp-mmap collect --once PLACE` with the --endpoint they are to go to",
      ]);
      const user = process.getuid!() === 0 ? "root" : "this user";
      assert.deepEqual(about("collector", found), [
        `bad  collector  nobody reads the 1 file of living applications: start \`otlp-mmap collect\` ` +
        `as ${user}`,
      ]);
      assert.equal(about("file", found).length, 1, found.lines.join("\n"));
      assert.match(about("file", found)[0], /^bad {2}file {7}PLACE\/broken.otlp: it was cut short/);

      rmSync(join(place, "broken.otlp"));
      const collector = startCollector(["--print", place]);
      try {
        assert.equal(await programs[1].ask({ op: "flush", timeout: 20_000 }), true);
        await until(
          "the dead one's file is removed",
          () => readdirSync(place).filter((name) => name.endsWith(".otlp")).length === 1,
        );
        const better = await doctor([], place);
        assert.equal(better.code, 0, better.lines.join("\n"));
        assert.deepEqual(about("collector", better), [
          "ok   collector  process PID reads the 1 file of living applications",
        ]);
      } finally {
        await collector.stop();
      }
    } finally {
      for (const program of programs) await program.stop("kill");
    }
  });

  it("tries every endpoint by every signal, and keeps secrets to itself", async () => {
    const sink = await startSink();
    const partly = await startSink({ statuses: { logs: 404, metrics: 401 } });
    const settings = Uint8Array.of(0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0);
    const grpc = await listen((socket) => {
      socket.on("error", () => {});
      socket.resume().end(settings);
    });
    const closed = await listen(() => {});
    await new Promise((resolve) => closed.server.close(resolve));
    try {
      const good = await doctor(["--endpoint", sink.url], newPlace(), {
        env: { OTEL_EXPORTER_OTLP_HEADERS: "api-key=hunter2", OTLP_MMAP_SPOOL: "none" },
      });
      assert.equal(good.code, 0);
      assert.deepEqual(about("endpoint", good), [
        `ok   endpoint   ${sink.url}/v1/traces takes traces`,
        `ok   endpoint   ${sink.url}/v1/metrics takes metrics`,
        `ok   endpoint   ${sink.url}/v1/logs takes logs`,
      ]);
      assert.deepEqual(sink.bodies.map((body) => body.length), [0]);

      const secret = partly.url.replace("http://", "http://user:hunter2@");
      const args = [secret, grpc.url, closed.url].flatMap((url) => ["--endpoint", url]);
      const wrong = await doctor([...args, "--header", "api-key=hunter2"], newPlace());
      assert.equal(wrong.code, 1);
      assert.ok(!wrong.lines.join("\n").includes("hunter2"), wrong.lines.join("\n"));
      const said = about("endpoint", wrong);
      assert.equal(said.length, 9);
      assert.equal(said[0], `ok   endpoint   ${partly.url}/v1/traces takes traces`);
      assert.match(
        said[1],
        /^bad .*\/v1\/metrics: HTTP 401 Unauthorized; check the credentials in /,
      );
      assert.match(
        said[2],
        /^bad .*\/v1\/logs: HTTP 404 Not Found; this backend takes no logs at /,
      );
      for (const line of said.slice(3, 6)) {
        assert.match(line, /^bad .*: the answer is HTTP\/2: this looks like the gRPC port/);
      }
      for (const line of said.slice(6)) {
        assert.match(line, /^bad .*: nothing listens at 127\.0\.0\.1:\d+ \(connection refused\)$/);
      }

      const logs = await doctor([], newPlace(), {
        env: { OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: `${sink.url}/v1/logs` },
      });
      assert.deepEqual(about("endpoint", logs), [
        "bad  endpoint   none is set for traces, which are not sent then: set --endpoint, " +
        "--traces-endpoint or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "bad  endpoint   none is set for metrics, which are not sent then: set --endpoint, " +
        "--metrics-endpoint or OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
        `ok   endpoint   ${sink.url}/v1/logs takes logs`,
      ]);
    } finally {
      await sink.stop();
      await partly.stop();
      await new Promise((resolve) => grpc.server.close(resolve));
    }
  });

  it("names limits that are too low", async () => {
    const found = await doctor([], newPlace(), { shell: "ulimit -n 200" });
    assert.equal(found.code, 1);
    assert.equal(
      about("limits", found)[0],
      "bad  limits     200 files may be open, and a collector wants 256: raise it with ulimit -n " +
        "(systemd: LimitNOFILE=)",
    );
    const small = checkLimits(1000, 15_000_000, "1024\n20000");
    assert.deepEqual(small.map(({ ok, text }) => [ok, text]), [
      [
        false,
        "1,024 files may be open, and a collector wants 3,064: raise it with ulimit -n (systemd: " +
        "LimitNOFILE=)",
      ],
      [
        false,
        "files may have 9.8 MiB, and an application's has 14.3 MiB: raise it with ulimit -f " +
        "(systemd: LimitFSIZE=), or have applications use smaller rings",
      ],
    ]);
    assert.deepEqual(
      checkLimits(0, 15_000_000, "unlimited\n200000").map(({ ok, text }) => [ok, text]),
      [[true, "any number of files may be open"], [true, "files may have 97.7 MiB"]],
    );
    assert.deepEqual(checkLimits(0, 1, "").map(({ ok, text }) => [ok, text]), [
      [true, "not known: there is no /bin/sh to ask"],
    ]);
  });

  it("looks at places with care", () => {
    const mine = process.getuid!();
    const open = newPlace();
    chmodSync(open, 0o755);
    const texts = (...args: Parameters<typeof checkPlace>): string[] =>
      checkPlace(...args).map(({ ok, text }) => `${ok} ${text.replace(/[\d.]+ [GMT]iB/, "SIZE")}`);
    const other = "remove it (it is made anew), or set OTLP_MMAP_DIR to another directory, for " +
      "applications and collector";
    assert.equal(
      texts({ path: open, uid: mine }, 1)[0],
      `false ${open} has mode 0755, not 0700, so it is not looked at: ${other}`,
    );
    assert.equal(
      texts({ path: newPlace(), uid: mine + 1 }, 1)[0].replace(/.* belongs/, "… belongs"),
      `… belongs to user ${mine}, not to user ${mine + 1}, so it is not looked at: ${other}`,
    );
    const path = newPlace();
    assert.deepEqual(texts({ path: `${path}/a/b` }, 1), [
      `true ${path}/a/b does not exist yet: the first application makes it`,
      `true SIZE are free at ${path}; an application's file takes 1 bytes`,
    ]);
    const full = texts({ path }, 2 ** 60)[1];
    assert.ok(
      full.startsWith(
        `false SIZE are free at ${path}, and an application's file takes 1048576.0 TiB: free some`,
      ),
      full,
    );
    assert.equal(
      texts({ path: "/dev/null" }, 1)[0],
      "false /dev/null is neither a file nor a directory: name one of these",
    );
  });

  it("says which patterns match nothing", async () => {
    const found = await doctor([join(root, "*.nothing")], newPlace());
    assert.equal(found.code, 1);
    assert.deepEqual(about("place", found), [
      `bad  place      ${
        root.replace(tmpdir(), "TMP")
      }/*.nothing matches nothing: check the pattern`,
    ]);
  });

  it("knows runtimes that are too old, and clocks that can't be right", () => {
    const old = checkRuntime({ deno: "2.4.9" }, "deno");
    assert.equal(old.ok, false);
    assert.match(old.text, /^Deno 2\.4\.9 on .* is too old: use 2\.5 or a later one$/);
    assert.equal(checkRuntime({ deno: "2.5.0" }, "deno").ok, true);
    assert.equal(checkRuntime({ bun: "1.2.30" }, "bun").ok, false);
    assert.equal(checkRuntime({ bun: "2.0.0" }, "bun").ok, true);
    assert.match(checkRuntime({}, "other").text, /^neither Deno nor Bun/);

    assert.match(checkClock(0, 0).text, /^it is 1970-01-01T.*: set the clock/);
    const now = Date.now();
    assert.equal(checkClock().ok, true);
    assert.match(checkClock(now, now + 60_000).text, /the system's is 60\.0 s from it/);
  });

  it("says when it can't write where temporary files go", async () => {
    const { ok, text } = await checkSelf(join(root, "missing"));
    assert.equal(ok, false);
    assert.match(text, /no temporary directory can be made: .*; set TMPDIR to one/);
  });

  if (ownRuntime === "deno") {
    it("says which permission Deno wants", async () => {
      const found = await doctor([], newPlace(), { flags: ["--deny-ffi"] });
      assert.equal(found.code, 1);
      assert.match(about("ffi", found)[0], /^bad {2}ffi .* run it with --allow-ffi$/);
    });
  } else {
    it("says why files can't be mapped", () => {
      const reason = "needs Linux or macOS: aix is not supported";
      assert.deepEqual(checkForeignFunctions({ name: "bun", code: 2, supported: false, reason }), {
        name: "ffi",
        ok: false,
        text: `files cannot be mapped here: ${reason}`,
      });
    });
  }
});
