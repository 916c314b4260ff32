/** Binaries, built for this machine: by Bun's compiler and by Deno's, each on its own runtime. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, it } from "node:test";
import packageJson from "../package.json" with { type: "json" };
import { ownRuntime } from "../tests/support/runtimes.ts";
import { bundle, withEntry } from "./compile/bundle.ts";
import { ownTarget, parseOrder } from "./compile/output.ts";
import { denoPath, ROOT } from "./runtimes.ts";

const root = mkdtempSync(join(tmpdir(), "otlp-mmap-compile-"));
after(() => rmSync(root, { recursive: true }));

let count = 0;
function folder(): string {
  const path = join(root, String(++count));
  mkdirSync(path);
  return path;
}

/** How `collect --once` of an empty folder ends. */
function readNothing(empty: string): ReturnType<typeof runIn> {
  return { code: 0, out: "", err: `otlp-mmap: there is nothing to read in ${empty}\n` };
}

/** Runs a program in an empty folder, with nothing but these variables. */
function runIn(
  cwd: string,
  command: string,
  args: string[],
  env: Record<string, string> = {},
): { code: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, env, encoding: "utf8" });
  return { code: status, out: stdout, err: stderr };
}

/** Runs a tool with Deno, as `deno task` does. */
function tool(
  file: string,
  args: string[],
  env: Record<string, string> = {},
): { code: number | null; out: string; err: string } {
  return runIn(ROOT, denoPath(), ["run", "-A", "--quiet", "--no-check", file, ...args], {
    ...process.env as Record<string, string>,
    ...env,
  });
}

/** Checks SHA256SUMS with the program that users have. */
function verify(path: string): string {
  const [command, ...args] = process.platform === "darwin"
    ? ["shasum", "-a", "256", "--check", "SHA256SUMS"]
    : ["sha256sum", "--check", "SHA256SUMS"];
  return runIn(path, command, args, process.env as Record<string, string>).out;
}

describe("what to compile", () => {
  const known = ["linux-x64", "darwin-arm64"];

  it("is this machine's binary unless others are named", () => {
    assert.deepEqual(parseOrder([], known, "linux-x64"), {
      targets: ["linux-x64"],
      folder: join(process.cwd(), "dist"),
    });
    const args = ["--target", "darwin-arm64", "--target", "darwin-arm64", "--out", "/tmp/x"];
    assert.deepEqual(parseOrder(args, known, "linux-x64"), {
      targets: ["darwin-arm64"],
      folder: "/tmp/x",
    });
    assert.deepEqual(parseOrder(["--all"], known, "linux-x64").targets, known);
  });

  it("is refused where there is no such target", () => {
    assert.throws(
      () => parseOrder(["--target", "win32-x64"], known, "linux-x64"),
      /there is no target "win32-x64"; there are linux-x64, darwin-arm64/,
    );
  });
});

if (ownRuntime === "bun") {
  describe("compile:bun", () => {
    it("makes a binary that needs nothing beside it", () => {
      const out = folder();
      const { code, err } = tool("tools/compile-bun.ts", ["--out", out]);
      assert.equal(code, 0, err);
      const name = `otlp-mmap-${ownTarget()}`;
      assert.deepEqual(readdirSync(out).sort(), ["SHA256SUMS", name]);
      assert.match(verify(out), new RegExp(`^${name}: OK$`, "m"));

      const empty = folder();
      const binary = join(out, name);
      assert.deepEqual(runIn(empty, binary, ["--version"]), {
        code: 0,
        out: `${packageJson.version}\n`,
        err: "",
      });
      // Without a C library it would say that files cannot be mapped.
      assert.deepEqual(runIn(empty, binary, ["collect", "--once", empty]), readNothing(empty));
    });

    it("makes one that takes no settings of Bun from where it is started", () => {
      const out = folder();
      assert.equal(tool("tools/compile-bun.ts", ["--out", out]).code, 0);
      const place = folder();
      writeFileSync(join(place, ".env"), "OTEL_EXPORTER_OTLP_TIMEOUT=never\n");
      writeFileSync(join(place, "bunfig.toml"), 'preload = ["./preload.ts"]\n');
      writeFileSync(join(place, "preload.ts"), 'console.log("loaded");\n');
      const empty = folder();
      const args = ["collect", "--once", "--endpoint", "http://127.0.0.1:1", empty];
      const binary = join(out, `otlp-mmap-${ownTarget()}`);
      assert.deepEqual(runIn(place, binary, args), readNothing(empty));
    });
  });
} else {
  describe("compile", () => {
    it("has Deno make a binary of the runtime that DENORT_BIN names", () => {
      const out = folder();
      // Deno itself stands in for denort, which only a download brings: what is made does not run.
      const { code, err } = tool("tools/compile-deno.ts", ["--out", out], {
        DENORT_BIN: denoPath(),
      });
      assert.equal(code, 0, err);
      const name = `otlp-mmap-${ownTarget()}`;
      assert.deepEqual(readdirSync(out).sort(), ["SHA256SUMS", name]);
      assert.match(verify(out), new RegExp(`^${name}: OK$`, "m"));
    });

    it("says what to do where there is no such runtime", () => {
      const out = folder();
      const { code, err } = tool("tools/compile-deno.ts", ["--out", out], {
        DENORT_BIN: join(out, "denort"),
      });
      assert.equal(code, 1);
      assert.match(err, new RegExp(`^${ownTarget()}: deno compile ended with 1: `, "m"));
      assert.match(err, /able to download denort for \S+, or DENORT_BIN must name it/);
      assert.deepEqual(readdirSync(out), ["SHA256SUMS"]);
    });

    it("gives Deno one module that runs where there is nothing else", async () => {
      const place = folder();
      await withEntry((entry) => bundle(entry, join(place, "otlp-mmap.js")));
      const empty = folder();
      const args = ["run", "-A", "--no-npm", "otlp-mmap.js", "collect", "--once", empty];
      const env = { DENO_DIR: join(place, "cache"), NO_COLOR: "1" };
      assert.deepEqual(runIn(place, denoPath(), args, env), readNothing(empty));
      assert(!existsSync(join(place, "node_modules")));
    });
  });
}
