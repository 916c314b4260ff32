/** DEPLOYING.md: the commands, flags, files and figures in it are ones that there are. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { ArgumentsExit } from "../collector/options/arguments.ts";
import { parseProgram } from "../collector/program.ts";
import { advise } from "../collector/size/size.ts";
import denoJson from "../deno.json" with { type: "json" };
import { TARGETS } from "../tools/compile-bun.ts";
import { ROOT } from "../tools/runtimes.ts";
import { CONFIG_PATH, NO_LOAD } from "./support/manifests.ts";
import { commandsIn, outputOf } from "./support/shell.ts";

const page = readFileSync(join(ROOT, "DEPLOYING.md"), "utf8");
const commands = commandsIn(page);

/** The arguments of ours in a command; null where there are none. */
function ourArguments(words: readonly string[]): string[] | null {
  if (words[0] === "otlp-mmap") return words.slice(1);
  // Behind the name of the image.
  const image = words[1] === "run" ? words.indexOf("collect") : -1;
  return image < 0 ? null : words.slice(image);
}

/** What the program says against arguments; nothing when it takes them. */
function complaint(args: readonly string[]): string {
  const there = args.map((arg) => {
    if (arg === CONFIG_PATH) return join(ROOT, "deploy/config.yaml");
    return arg.startsWith("deploy/") ? join(ROOT, arg) : arg;
  });
  try {
    parseProgram(there, {});
    return "";
  } catch (error) {
    if (!(error instanceof ArgumentsExit)) throw error;
    return error.message;
  }
}

/** Flags of a command that its help does not know. */
function unknownFlags([tool, ...words]: readonly string[]): string[] {
  const own = words.slice(0, words.length - (ourArguments([tool, ...words])?.length ?? 0));
  const names = own.slice(own[0] === "--namespace" ? 2 : 0);
  const count = names.findIndex((word) => /^-|\//.test(word));
  const help = [3, 2, 1].filter((length) => count < 0 || length <= count)
    .map((length) => outputOf(tool, ...names.slice(0, length), "--help"))
    .find((text) => text !== undefined) ?? "";
  const all = tool === "kubectl" ? `${help}${outputOf(tool, "options")}` : help;
  return own.filter((word) => word.startsWith("-")).map((word) => word.split("=")[0])
    .filter((flag) => !new RegExp(`^\\s+(-\\w, )?${flag}[\\s=,:]`, "m").test(all));
}

describe("DEPLOYING.md", () => {
  it("uses commands and flags of the collector that there are", () => {
    const ours = commands.map(ourArguments).filter((args) => args !== null);
    const used = new Set(ours.map(([name]) => name));
    assert.deepEqual([...used].sort(), ["collect", "config", "size"]);
    for (const args of ours) {
      assert.equal(complaint(args), "", args.join(" "));
      assert.match(complaint([...args, "--brust"]), /unknown option '--brust'/);
    }
  });

  it("uses tasks, targets and files that there are", () => {
    const targets = new Set<string>();
    for (const words of commands) {
      if (words[0] === "deno") assert(Object.hasOwn(denoJson.tasks, words[2]), words[2]);
      for (const [i, word] of words.entries()) {
        const binary = /^dist\/otlp-mmap-(.+)$/.exec(word)?.[1];
        if (binary !== undefined) targets.add(binary);
        if (words[i - 1] === "--target") targets.add(word);
        if (word.startsWith("deploy/")) assert(existsSync(join(ROOT, word)), word);
      }
    }
    assert.deepEqual([...targets].filter((target) => !TARGETS.includes(target)), []);
    assert(targets.size > 0);
    for (const [, path] of page.matchAll(/\]\((deploy\/[^)]*)\)/g)) {
      assert(existsSync(join(ROOT, path)), path);
    }
  });

  for (const tool of ["docker", "kubectl", "systemctl"]) {
    if (outputOf(tool, "--help") === undefined) continue;
    it(`uses commands and flags that ${tool} has`, () => {
      const used = commands.filter(([command]) => command === tool);
      assert(used.length > 0);
      for (const words of used) {
        assert.deepEqual(unknownFlags(words), [], words.join(" "));
        assert.deepEqual(unknownFlags([...words.slice(0, 2), "--no-such-flag"]), [
          "--no-such-flag",
        ]);
      }
    });
  }

  it("is right about the size of a file", () => {
    const { bytes, mostBytes } = advise(NO_LOAD);
    const mib = (count: number): string => `${(count / 2 ** 20).toFixed(1)} MiB`;
    const text = page.replace(/\s+/g, " ");
    assert(text.includes(`takes ${mib(bytes)} with default rings (up to ${mib(mostBytes)} `));
    // "the fifth process or Worker finds no room" in 64 MB.
    assert.equal(Math.floor(64 * 2 ** 20 / bytes), 4);
  });
});
