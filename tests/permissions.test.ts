/** What is said where Deno has not allowed enough. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { denoPath, ROOT } from "../tools/runtimes.ts";

/** What a program says with these permissions. */
function said(permissions: readonly string[], ...args: string[]): string {
  const flags = ["run", "--no-prompt", "--no-check", "--quiet", ...permissions];
  const { stdout, stderr } = spawnSync(denoPath(), [...flags, ...args], {
    cwd: ROOT,
    encoding: "utf8",
    env: { ...process.env, OTEL_LOG_LEVEL: undefined, OTLP_MMAP_DIR: undefined },
  });
  return stdout + stderr;
}

describe("without all permissions", () => {
  const WITHOUT_FFI = ["--allow-env", "--allow-read"];
  const WITHOUT_WRITE = ["--allow-env", "--allow-read", "--allow-ffi"];

  it("the collector names all that it needs", () => {
    const main = join(ROOT, "collector/main.ts");
    assert.match(
      said(["--allow-read"], main, "collect", "--once", "x"),
      /^otlp-mmap: error: Requires env access .*; in all it needs --allow-env, --allow-ffi, --allow-net, .* \(or -A\)$/m,
    );
    assert.match(
      said(WITHOUT_FFI, main, "collect", "--once", "x"),
      /^otlp-mmap: error: .*needs --allow-ffi, and in all --allow-env, .* \(or -A\)$/m,
    );
  });

  it("an application is told whose complaint it is, and all that is needed, and goes on", () => {
    const app = [
      `--preload=${join(ROOT, "register.ts")}`,
      join(ROOT, "tests/testdata/permissions.ts"),
    ];
    for (const permissions of [WITHOUT_FFI, WITHOUT_WRITE]) {
      const text = said(permissions, ...app);
      assert.match(
        text,
        /^otlp-mmap: telemetry is off: .*in all (it needs )?--allow-env, --allow-ffi, --allow-read, --allow-sys and --allow-write \(or -A\)$/m,
      );
      assert.match(text, /^it goes on$/m);
    }
  });
});
