/**
 * Runs every example of a doc comment in a process of its own, and compares what it prints with the
 * comments behind its `console.log`. Examples marked `ts ignore` are not run.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import denoJson from "../deno.json" with { type: "json" };
import { ROOT } from "../tools/runtimes.ts";
import { ownRuntime, start } from "./support/runtimes.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-doc-"));
after(() => rmSync(directory, { recursive: true }));

/** An example and where it is. */
interface Example {
  readonly where: string;
  readonly code: string;
}

/** The examples of one source file. */
function examplesOf(file: string): Example[] {
  const lines = readFileSync(join(ROOT, file), "utf8").split("\n");
  const found: Example[] = [];
  let code: string[] | null = null;
  for (const [i, line] of lines.entries()) {
    const comment = /^\s*\*( ?)(.*)$/.exec(line)?.[2];
    if (comment === undefined) code = null;
    else if (comment === "```ts") code = [];
    else if (comment === "```" && code !== null) {
      found.push({ where: `${file}:${i + 1 - code.length}`, code: code.join("\n") });
      code = null;
    } else code?.push(comment);
  }
  return found;
}

function sources(): string[] {
  const folders = ["lib", "ffi"].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
      .map((name) => join(folder, name))
  );
  return ["mod.ts", "register.ts", "testing.ts", ...folders]
    .filter((file) => file.endsWith(".ts") && !/\.test\.ts$|testdata/.test(file)).sort();
}

const EXPORTS: Record<string, string> = denoJson.exports;

/** The example as a program that can be anywhere. */
function programOf(code: string): string {
  return code.replace(/from "([^".][^"]*)"/g, (_, name: string) => {
    if (name.startsWith("node:")) return `from "${name}"`;
    const own = /^otlp-mmap(\/.*)?$/.exec(name);
    const url = own === null
      ? import.meta.resolve(name)
      : pathToFileURL(join(ROOT, EXPORTS[`.${own[1] ?? ""}`])).href;
    return `from "${url}"`;
  });
}

describe("examples in doc comments", () => {
  const examples = sources().flatMap(examplesOf);

  it("are found", () => {
    const files = new Set(examples.map(({ where }) => where.split(":")[0]));
    for (const file of ["lib/writer.ts", "lib/sdk/start.ts"]) assert(files.has(file), file);
  });

  for (const [i, { where, code }] of examples.entries()) {
    it(`${where} runs and prints what it says`, async () => {
      const place = join(directory, `${i}`);
      const file = `${place}.ts`;
      writeFileSync(file, programOf(code));
      const said = [...code.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)].map(([, text]) => text);
      const { output } = start(ownRuntime, file, [], {
        cwd: directory,
        env: { OTLP_MMAP_DIR: place },
      });
      assert.deepEqual((await output).split("\n").slice(0, -1), said);
    });
  }
});
