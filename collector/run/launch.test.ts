import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { ROOT } from "../../tools/runtimes.ts";
import { understand } from "./launch.ts";
import { bundled, findSdk } from "./sdk.ts";

const root = realpathSync(mkdtempSync(join(tmpdir(), "otlp-mmap-launch-")));
after(() => rmSync(root, { recursive: true }));

let count = 0;
function folder(): string {
  const path = join(root, String(++count));
  mkdirSync(path);
  return path;
}

/** The command line that a command becomes. */
function launched(command: string, cwd: string, path?: string): string {
  return understand(command.split(" "), path, cwd).preloading("SDK").join(" ");
}

describe("a command", () => {
  it("has the SDK among the flags of its runtime", () => {
    const cwd = folder();
    for (
      const [command, expected] of [
        ["deno run -A app.ts -x", "deno run --preload=SDK -A app.ts -x"],
        ["deno -A app.ts", "deno --preload=SDK -A app.ts"],
        ["/opt/deno serve app.ts", "/opt/deno serve --preload=SDK app.ts"],
        ["bun app.ts run", "bun --preload=SDK app.ts run"],
        ["bun run app.ts", "bun run --preload=SDK app.ts"],
        ["bun test", "bun test --preload=SDK"],
        ["bun", "bun --preload=SDK"],
      ]
    ) assert.equal(launched(command, cwd), expected);
  });

  it("may be a file, for the runtime that is there", () => {
    const cwd = folder();
    const [bun, deno] = [folder(), folder()];
    writeFileSync(join(cwd, "app.ts"), "");
    writeFileSync(join(bun, "bun"), "");
    writeFileSync(join(deno, "deno"), "");
    const ofDeno = "deno run --allow-all --preload=SDK app.ts -x";
    assert.equal(launched("app.ts -x", cwd, deno), ofDeno);
    assert.equal(launched("app.ts -x", cwd, `${deno}:${bun}`), "bun --preload=SDK app.ts -x");
    writeFileSync(join(cwd, "deno.json"), "{}");
    assert.equal(launched("app.ts -x", cwd, bun), ofDeno);
  });

  it("is refused where the SDK would not be loaded", () => {
    const cwd = folder();
    for (const command of ["node app.js", "deno task dev", "bun x thing", "./app"]) {
      assert.throws(() => launched(command, cwd), { exitCode: 2, message: /^"/ }, command);
    }
    assert.throws(() => launched("app.ts", cwd), {
      exitCode: 2,
      message: `there is no file "app.ts" to run in ${cwd}`,
    });
  });
});

describe("the SDK", () => {
  it("is the program's own, from npm or from JSR", () => {
    const npm = folder();
    const place = join(npm, "node_modules/otlp-mmap");
    mkdirSync(place, { recursive: true });
    writeFileSync(join(place, "package.json"), '{ "exports": { "./register": "./register.ts" } }');
    writeFileSync(join(place, "register.ts"), "");
    mkdirSync(join(npm, "src"));
    assert.equal(findSdk("bun", join(npm, "src"), root), join(place, "register.ts"));
    assert.notEqual(findSdk("deno", join(npm, "src"), root), join(place, "register.ts"));

    const jsr = folder();
    writeFileSync(
      join(jsr, "deno.json"),
      '{ "imports": { "otlp": "jsr:@otlp-mmap/otlp-mmap@^0.1.0" } }',
    );
    mkdirSync(join(jsr, "src"));
    assert.equal(
      findSdk("deno", join(jsr, "src"), root),
      "jsr:@otlp-mmap/otlp-mmap@^0.1.0/register",
    );
  });

  it("is the collector's for other programs, as a file of its own where it is bundled", () => {
    const program = folder();
    writeFileSync(join(program, "deno.json"), "{ // a comment\n}");
    assert.equal(findSdk("bun", program, root), join(ROOT, "register.ts"));
    // With its packages in it, since Deno looks for them in the program.
    const whole = findSdk("deno", program, root);
    assert.equal(whole, join(root, "register.mjs"));
    assert.doesNotMatch(readFileSync(whole, "utf8"), /from "@opentelemetry/);
    bundled.register = "the SDK";
    try {
      const path = findSdk("deno", program, folder());
      assert.equal(readFileSync(path, "utf8"), "the SDK");
    } finally {
      delete bundled.register;
    }
  });
});
