/**
 * What containers change, with what they are made of: process namespaces, capabilities, users, and a
 * root directory with little in it. Where this user may not make these, nothing is tested.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { after, describe, it } from "node:test";
import { gunzipSync } from "node:zlib";
import { until } from "../collector/testing/run.ts";
import { ownTarget } from "../tools/compile/output.ts";
import { denoPath, ROOT } from "../tools/runtimes.ts";
import { launchOf, ownRuntime } from "./support/runtimes.ts";
import { outputOf } from "./support/shell.ts";

const root = mkdtempSync(join(tmpdir(), "otlp-mmap-containers-"));
const running = new Set<ChildProcess>();
after(() => {
  // What a test that failed left; what is inside a namespace goes with it.
  for (const { pid } of running) process.kill(pid!, "SIGKILL");
  rmSync(root, { recursive: true });
});

let count = 0;
function folder(): string {
  const path = join(root, String(++count));
  mkdirSync(path, { mode: 0o700 });
  return path;
}

/** A process namespace of its own, in which the program has the id 1, and its /proc. */
const CONTAINER = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];
const COLLECTOR = "collector/main.ts";
/** Of nobody's, in the image. */
const USER = 65532;

interface Started {
  readonly child: ChildProcess;
  readonly text: () => string;
  readonly ended: Promise<number | null>;
  /** Waits until it has written this. */
  wrote(pattern: RegExp): Promise<void>;
}

/** Starts a program of the repository through another one. */
function start(through: readonly string[], file: string, ...args: string[]): Started {
  const launch = launchOf(ownRuntime, join(ROOT, file), args);
  const [command, ...rest] = [...through, launch.command, ...launch.args];
  const child = spawn(command, rest, {
    cwd: launch.cwd,
    // To find the first of these by its name.
    env: { PATH: process.env.PATH, ...launch.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let text = "";
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding("utf8").on("data", (piece: string) => text += piece);
  }
  running.add(child);
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  let over = false;
  void ended.then(() => {
    over = true;
    running.delete(child);
  });
  return {
    child,
    text: () => text,
    ended,
    async wrote(pattern) {
      for (const deadline = Date.now() + 20_000; !pattern.test(text);) {
        assert(!over && Date.now() < deadline, `${file} never wrote ${pattern}: ${text}`);
        await new Promise((wake) => setTimeout(wake, 10));
      }
    },
  };
}

/** The program that `unshare` started. */
function inside({ child }: Started): number {
  const { pid } = child;
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim());
}

/** Runs the collector to its end through another program. */
async function collector(
  through: readonly string[],
  ...args: string[]
): Promise<{ code: number | null; text: string }> {
  const started = start(through, COLLECTOR, ...args);
  return { code: await started.ended, text: started.text() };
}

/** What a collector elsewhere thinks of the owner of a file. */
async function ownerSeen(through: readonly string[], path: string): Promise<string> {
  const { text } = await collector(through, "inspect", "--json", path);
  return JSON.parse(text).owner.state;
}

/** The file of a process that was killed; it left one span open. */
async function leftBehind(): Promise<string> {
  const place = folder();
  const writer = start([], "tests/testdata/steady-writer.ts", place, "1");
  await writer.wrote(/ready/);
  process.kill(writer.child.pid!, "SIGKILL");
  await writer.ended;
  return place;
}

function give(place: string, user: number): void {
  for (const name of readdirSync(place)) chownSync(join(place, name), user, user);
  chownSync(place, user, user);
}

const hasNamespaces = outputOf(CONTAINER[0], ...CONTAINER.slice(1), "true") !== undefined;
const isRoot = process.getuid?.() === 0 && hasNamespaces;

if (hasNamespaces) {
  describe("containers that share a volume and no process namespace", () => {
    it("see by its lock whether an owner lives", async () => {
      const place = folder();
      const writer = start(CONTAINER, "tests/testdata/steady-writer.ts", place, "1");
      await writer.wrote(/ready/);
      const [name] = readdirSync(place);
      assert.match(name, /^1-/);
      assert.equal(await ownerSeen(CONTAINER, join(place, name)), "alive");

      const following = start(CONTAINER, COLLECTOR, "collect", "--print", place);
      await following.wrote(/ "work 0" /);
      // Longer than it takes to ask after an owner that is quiet.
      await new Promise((wake) => setTimeout(wake, 2500));
      assert.doesNotMatch(following.text(), /interrupted/);

      process.kill(inside(writer), "SIGKILL");
      await writer.ended;
      await following.wrote(/ open .*otlp_mmap\.interrupted/);
      await until("the file is gone", () => readdirSync(place).length === 0, {
        state: () => readdirSync(place),
      });

      // The collector is process 1 there: without its own handler the signal would do nothing.
      process.kill(inside(following), "SIGTERM");
      assert.equal(await following.ended, 0, following.text());
    });

    it("don't both read a file", async () => {
      const place = folder();
      const writer = start(CONTAINER, "tests/testdata/steady-writer.ts", place, "1");
      await writer.wrote(/ready/);
      const following = start(CONTAINER, COLLECTOR, "collect", "--print", place);
      await following.wrote(/ "work 0" /);
      const { code, text } = await collector(CONTAINER, "collect", "--once", place);
      assert.deepEqual({ code, said: / is read by another collector/.test(text) }, {
        code: 1,
        said: true,
      });
      for (const started of [following, writer]) {
        process.kill(inside(started), "SIGKILL");
        await started.ended;
      }
    });

    it("don't see the owner of a file without a lock", async () => {
      const path = join(folder(), "other.otlp");
      const vector = readFileSync(join(ROOT, "tests/vectors/upstream-python.otlp.gz"));
      writeFileSync(path, gunzipSync(vector), { mode: 0o600 });
      const holder = start(CONTAINER, "tests/testdata/mapping-holder.ts", path);
      await holder.wrote(/ready/);
      assert.equal(await ownerSeen(CONTAINER, path), "dead");
      // With a namespace in which the owner is, as hostPID has it.
      assert.equal(await ownerSeen([], path), "alive");
      process.kill(inside(holder), "SIGKILL");
      await holder.ended;
      assert.equal(await ownerSeen([], path), "dead");
    });
  });
}

if (isRoot && outputOf("setpriv", "--version") !== undefined) {
  describe("root in a container", () => {
    const limited = (capabilities: string): string[] => [
      ...["setpriv", `--bounding-set=${capabilities}`, "--inh-caps=-all"],
    ];

    it("reads files of other users with DAC_OVERRIDE, and removes them", async () => {
      const place = await leftBehind();
      give(place, 10001);
      const { code, text } = await collector(
        limited("-all,+dac_override"),
        "collect",
        "--once",
        place,
      );
      assert.equal(code, 0, text);
      assert.match(text, / open .*otlp_mmap\.interrupted/);
      assert.deepEqual(readdirSync(place), []);
    });

    it("takes nothing from them without", async () => {
      const place = await leftBehind();
      give(place, 10001);
      const { code } = await collector(limited("-all"), "collect", "--once", place);
      assert.equal(code, 2);
      assert.equal(readdirSync(place).length, 1);
    });
  });
}

if (ownRuntime === "bun" && isRoot) {
  describe("the image's binary", () => {
    /** What Debian's package libc6 has, and so the base of the image. */
    const LIBRARIES = /^(ld-linux-[\w-]+|lib(c|m|dl|rt|pthread))\.so\.\d$/;

    it("needs the C library and nothing else, nor any right", async () => {
      const out = folder();
      const env = { ...process.env };
      const args = ["run", "-A", "--quiet", "--no-check", "tools/compile-bun.ts", "--out", out];
      assert.equal(spawnSync(denoPath(), args, { cwd: ROOT, env }).status, 0);
      const image = folder();
      const binary = join(out, `otlp-mmap-${ownTarget()}`);
      const libraries = [...outputOf("ldd", binary)!.matchAll(/(\/\S+) \(0x/g)].map(([, path]) =>
        path
      );
      assert(libraries.length > 0);
      for (const path of [binary, ...libraries]) {
        const name = path.split("/").at(-1)!;
        if (path !== binary) assert.match(name, LIBRARIES);
        const to = join(image, path === binary ? "usr/local/bin/otlp-mmap" : path);
        mkdirSync(dirname(to), { recursive: true });
        copyFileSync(path, to);
      }
      const place = await leftBehind();
      spawnSync("mv", [place, join(image, "files")]);
      give(join(image, "files"), USER);
      spawnSync("chmod", ["755", image, root]);
      // Bun wants /proc, which containers have.
      mkdirSync(join(image, "proc"));
      const script =
        `mount -t proc proc "$0/proc" && exec chroot --userspec=${USER}:${USER} "$0" "$@"`;
      const { status, stdout, stderr } = spawnSync(
        "unshare",
        [
          ...["--mount", "--pid", "--fork", "sh", "-c", script, image],
          ...["/usr/local/bin/otlp-mmap", "collect", "--once", "/files"],
        ],
        { encoding: "utf8", env: { PATH: process.env.PATH } },
      );
      assert.equal(status, 0, stderr);
      assert.match(stdout, / open .*otlp_mmap\.interrupted/);
      assert.deepEqual(readdirSync(join(image, "files")), []);
      assert(!existsSync(join(image, "tmp")));
    });
  });
}
