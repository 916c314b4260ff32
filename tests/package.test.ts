/**
 * What is published, as its users get it: the npm package in a Bun project that holds nothing else,
 * and the JSR package in an empty folder. Both run the program of the README.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import denoJson from "../deno.json" with { type: "json" };
import packageJson from "../package.json" with { type: "json" };
import { until } from "../collector/testing/run.ts";
import { bunPath, denoPath, ROOT } from "../tools/runtimes.ts";
import { type Jsr, startJsr } from "./support/jsr.ts";
import { ownRuntime, plainEnvironment } from "./support/runtimes.ts";

const root = mkdtempSync(join(tmpdir(), "otlp-mmap-package-"));
after(() => rmSync(root, { recursive: true }));

type Environment = Record<string, string | undefined>;

/** Runs a command; returns what it wrote, once it has ended with 0. */
async function run(
  cwd: string,
  [command, ...args]: readonly string[],
  env: Environment = plainEnvironment(),
): Promise<string> {
  const { child, text } = open(cwd, [command, ...args], env);
  const code = await new Promise((resolve) => child.once("close", resolve));
  assert.equal(code, 0, `${command} ${args.join(" ")}: ${text()}`);
  return text();
}

function open(
  cwd: string,
  [command, ...args]: readonly string[],
  env: Environment,
): { child: ChildProcess; text: () => string } {
  const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (piece: string) => text += piece);
  }
  return { child, text: () => text };
}

/** The program that the README shows, with the package under another name. */
function snippet(name = "otlp-mmap"): string {
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");
  const code = /### In the program\n\n```ts\n([^]*?)```/.exec(readme)?.[1];
  assert(code !== undefined && code.includes('from "otlp-mmap";'));
  return code.replace('from "otlp-mmap";', `from ${JSON.stringify(name)};`);
}

/** Runs the README's program with a collector beside it, for which it waits, and checks both. */
async function checkProgram(
  cwd: string,
  program: readonly string[],
  collector: readonly string[],
  env: Environment,
): Promise<void> {
  const { child, text } = open(cwd, [...collector, "collect", "--print"], env);
  const ended = new Promise((resolve) => child.once("close", resolve));
  try {
    assert.equal(await run(cwd, program, env), "");
    await until("the sum is printed", () => / orders sum /.test(text()), { state: text });
  } finally {
    process.kill(child.pid!, "SIGTERM");
    await ended;
  }
  assert.match(text(), / shop buy internal UNSET trace=\w+ .*order\.items=3/);
  assert.match(text(), / INFO shop "sold" trace=\w+/);
  assert.match(text(), / shop orders sum cumulative 1 order\.kind="gift"/);
}

describe("what is published", () => {
  it("has the same entries for npm and for JSR", () => {
    const sources = Object.entries(packageJson.exports).map(
      ([name, { types, default: source }]) => {
        assert.equal(types, source.replace(/^\.(.*)\.ts$/, "./dist/types$1.d.ts"));
        return [name, source];
      },
    );
    assert.deepEqual(Object.fromEntries(sources), denoJson.exports);
    assert.equal(packageJson.version, denoJson.version);
  });
});

if (ownRuntime === "bun") {
  describe("the npm package in an empty Bun project", () => {
    const project = join(root, "project");
    /** All that is left of the environment: where Bun is, for `#!/usr/bin/env bun`. */
    const env = { PATH: dirname(bunPath()), HOME: project, OTLP_MMAP_DIR: join(root, "files") };

    before(async () => {
      mkdirSync(project);
      await run(ROOT, ["npm", "pack", "--silent", "--pack-destination", project]);
      writeFileSync(join(project, "package.json"), '{ "type": "module" }\n');
      const { typescript, "@types/bun": types } = packageJson.devDependencies;
      const tools = [`typescript@${typescript}`, `@types/bun@${types}`];
      await run(project, [bunPath(), "add", `./otlp-mmap-${packageJson.version}.tgz`]);
      await run(project, [bunPath(), "add", "--dev", ...tools]);
    });

    it("works from the README's program", async () => {
      writeFileSync(join(project, "app.ts"), snippet());
      const bin = join(project, "node_modules/.bin/otlp-mmap");
      assert.equal(await run(project, [bin, "--version"], env), `${packageJson.version}\n`);
      await checkProgram(project, [bunPath(), "app.ts"], [bin], env);
    });

    it("brings the SDK for programs that have no package, on Deno as on Bun", async () => {
      const api = `@opentelemetry/api@${packageJson.dependencies["@opentelemetry/api"]}`;
      const place = join(root, "elsewhere");
      mkdirSync(place);
      const program = (from: string): string =>
        `import { trace } from ${JSON.stringify(from)};\n` +
        'trace.getTracer("t").startSpan("left open");\nprocess.exit(3);\n';
      writeFileSync(
        join(place, "deno.ts"),
        `import process from "node:process";\n${program(`npm:${api}`)}`,
      );
      const own = join(project, "node_modules/@opentelemetry/api");
      writeFileSync(join(place, "bun.ts"), program(own));
      const bin = join(project, "node_modules/.bin/otlp-mmap");
      for (
        const command of [[denoPath(), "run", "-A", "--quiet", "deno.ts"], [bunPath(), "bun.ts"]]
      ) {
        // Deno's packages are where the user has them.
        const { child, text } = open(place, [bin, "run", "--", ...command], {
          PATH: env.PATH,
          HOME: process.env.HOME,
        });
        assert.equal(await new Promise((done) => child.once("close", done)), 3, text());
        assert.match(text(), /^ {2}\S+ "left open" .*trace=\w{32}$/m);
      }
    });

    it("has every entry", async () => {
      const names = Object.keys(packageJson.exports).map((name) => `otlp-mmap${name.slice(1)}`);
      const program = names.map((name) => `await import(${JSON.stringify(name)});`).join("\n");
      writeFileSync(join(project, "entries.ts"), `${program}\nconsole.log("all");\n`);
      assert.equal(await run(project, [bunPath(), "entries.ts"], env), "all\n");
    });

    for (const skipLibCheck of [true, false]) {
      it(`has types, with skipLibCheck ${skipLibCheck}`, async () => {
        const entries = Object.keys(packageJson.exports).map((name, i) =>
          `import type * as e${i} from "otlp-mmap${name.slice(1)}"; export type { e${i} };`
        );
        const wrong = "// @ts-expect-error: no resource\nstart({ resource: 3 });";
        const file = "typed.ts";
        writeFileSync(join(project, file), [snippet(), ...entries, wrong].join("\n"));
        const compilerOptions = {
          strict: true,
          noUncheckedIndexedAccess: true,
          target: "ESNext",
          module: "Preserve",
          moduleResolution: "bundler",
          lib: ["ESNext"],
          types: ["bun"],
          noEmit: true,
          skipLibCheck,
        };
        writeFileSync(
          join(project, "tsconfig.json"),
          JSON.stringify({ compilerOptions, files: [file] }),
        );
        assert.equal(await run(project, [bunPath(), "x", "--bun", "tsc", "-p", "."], env), "");
      });
    }
  });
} else {
  describe("the JSR package in an empty folder", () => {
    const { name, version } = denoJson;
    let jsr: Jsr;
    before(async () => {
      const folder = join(root, "jsr");
      mkdirSync(folder);
      jsr = await startJsr(name, version, folder);
    });
    after(() => jsr.stop());

    it("is what `deno publish --dry-run` lists, without slow types", async () => {
      const publish = [denoPath(), "publish", "--allow-dirty"];
      const quiet = { ...plainEnvironment(), NO_COLOR: "1" };
      const text = await run(ROOT, [...publish, "--dry-run"], quiet);
      const listed = [...text.matchAll(/^ {3}file:\/\/(\S+) \(/gm)]
        .map(([, path]) => path.slice(ROOT.length)).sort();
      assert(listed.includes("mod.ts"), text);
      await run(ROOT, [...publish, "--token", "none", "--no-provenance"], {
        ...quiet,
        JSR_URL: jsr.url,
      });
      assert.deepEqual(jsr.files(), listed);
    });

    it("works from the README's program, and preloaded", async () => {
      const place = join(root, "empty");
      mkdirSync(place);
      const env = {
        ...plainEnvironment(),
        JSR_URL: jsr.url,
        OTLP_MMAP_DIR: join(root, "files"),
        NO_COLOR: "1",
      };
      // Without an import map, a program names packages in full.
      const api = `npm:@opentelemetry/api@${packageJson.dependencies["@opentelemetry/api"]}`;
      const code = snippet(`jsr:${name}`).replace('"@opentelemetry/api"', JSON.stringify(api));
      writeFileSync(join(place, "app.ts"), code);
      // An earlier run may have had the same port, and another package.
      const deno = [denoPath(), "run", "-A", "--quiet", `--reload=${jsr.url}`];
      const main = [`--config=${ROOT}deno.json`, join(ROOT, "collector/main.ts")];
      await checkProgram(place, [...deno, "--check", "app.ts"], [...deno, ...main], env);
      const entries = Object.keys(denoJson.exports).map((entry) =>
        `await import("jsr:${name}${entry.slice(1)}");`
      );
      writeFileSync(join(place, "entries.ts"), `${entries.join("\n")}\nconsole.log("all");\n`);
      const preload = `--preload=jsr:${name}/register`;
      assert.equal(await run(place, [...deno, preload, "entries.ts"], env), "all\n");
    });
  });
}
