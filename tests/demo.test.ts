import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { it } from "node:test";
import { ROOT } from "../tools/runtimes.ts";

it("the demo proves that nothing is missing, and leaves nothing behind", async () => {
  const scratch = mkdtempSync(join(tmpdir(), "otlp-mmap-test-demo-"));
  const args = process.versions.bun ? [] : ["run", "-A"];
  const child = spawn(process.execPath, [...args, join(ROOT, "examples/demo.ts")], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, TMPDIR: scratch },
  });
  let output = "";
  child.stdout.on("data", (part) => output += part);
  child.stderr.on("data", (part) => output += part);
  const code = await new Promise((resolve) => child.once("close", resolve));
  assert.equal(code, 0, output);
  assert.match(output, /^Answered requests: 400, of 7 spans each$/m);
  assert.match(output, /^ {2}spans expected 2800, arrived 2800, missing 0$/m);
  assert.match(output, /came twice 0$/m);
  assert.match(output, /stock reserve .*cut off: its process died here$/m);
  assert.match(output, /^Nothing is missing\.$/m);
  // Removes nothing that is in it.
  rmdirSync(scratch);
});
