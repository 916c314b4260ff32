import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Command, Option } from "commander";
import { observe } from "../../tests/support/collector.ts";
import { ownRuntime } from "../../tests/support/runtimes.ts";
import { oneOf } from "../options/arguments.ts";
import { bashCompletions } from "./bash.ts";
import { fishCompletions } from "./fish.ts";
import { treeOf } from "./tree.ts";
import { zshCompletions } from "./zsh.ts";

const root = mkdtempSync(join(tmpdir(), "otlp-mmap-completions-"));
after(() => rmSync(root, { recursive: true }));

/** What bash offers for the last word, in a directory with the files `app.otlp` and `my file`. */
function complete(script: string, ...words: string[]): string[] {
  const quoted = words.map((word) => `'${word}'`).join(" ");
  const line = `source '${script}'; cd '${root}/files'; COMP_WORDS=(otlp-mmap ${quoted}); ` +
    `COMP_CWORD=${words.length}; _otlp_mmap; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { status, stdout, stderr } = spawnSync("bash", ["-c", line], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  assert.equal(stderr, "");
  return stdout.split("\n").filter((word) => word !== "");
}

/** A program with all that ours may have: commands in commands, quotes, colons. */
function program(): Command {
  const all = new Command("otlp-mmap");
  all.command("collect").description("it's: all").argument("[paths...]")
    .addOption(new Option("--protocol <name>", "it's: one").choices(["grpc", "http/json"]))
    .option("--level <name>", "how much", oneOf("debug", "info"))
    .option("--out <file>", "where to")
    .option("-c, --count <n>", "how many");
  const config = all.command("config").description("the configuration");
  config.command("check").description("check it").argument("<file>").option("--strict", "more");
  return all;
}

describe("completions", () => {
  const ours = join(root, "ours.bash");
  const other = join(root, "other.bash");

  before(async () => {
    spawnSync("mkdir", [join(root, "files")]);
    for (const name of ["app.otlp", "my file"]) writeFileSync(join(root, "files", name), "");
    const command = observe(ownRuntime, "collector/main.ts", ["completions", "bash"]);
    assert.deepEqual(await command.ended, { code: 0, signal: null });
    writeFileSync(ours, command.text());
    writeFileSync(other, bashCompletions(treeOf(program())));
  });

  it("complete commands", () => {
    assert.deepEqual(complete(ours, "col"), ["collect"]);
    assert.deepEqual(complete(ours, "doc"), ["doctor"]);
    const all = complete(ours, "");
    for (const name of ["collect", "inspect", "doctor", "size", "completions"]) {
      assert.ok(all.includes(name), name);
    }
    assert.ok(complete(ours, "--").includes("--version"));
  });

  it("complete options of the command, and no others", () => {
    assert.deepEqual(complete(ours, "collect", "--endp"), ["--endpoint"]);
    assert.deepEqual(complete(ours, "inspect", "--"), ["--json", "--help"]);
    assert.deepEqual(complete(ours, "inspect", "a", "b", "--js"), ["--json"]);
    assert.deepEqual(complete(ours, "inspect", "--endp"), []);
  });

  it("complete values", () => {
    assert.deepEqual(complete(ours, "completions", ""), ["bash", "zsh", "fish"]);
    assert.deepEqual(complete(ours, "collect", "--compression", ""), ["gzip", "none"]);
    assert.deepEqual(complete(ours, "collect", "--compression", "=", "g"), ["gzip"]);
    assert.deepEqual(complete(ours, "collect", "--compression", "="), ["gzip", "none"]);
    assert.deepEqual(complete(ours, "collect", "--logs-protocol", "g"), ["grpc"]);
    assert.deepEqual(complete(other, "collect", "--protocol", "h"), ["http/json"]);
    assert.deepEqual(complete(other, "collect", "--level", ""), ["debug", "info"]);
  });

  it("complete files where files are wanted", () => {
    assert.deepEqual(complete(ours, "collect", "app"), ["app.otlp"]);
    assert.deepEqual(complete(ours, "collect", "my"), ["my file"]);
    assert.deepEqual(complete(ours, "collect", "--config", "app"), ["app.otlp"]);
    assert.deepEqual(complete(ours, "collect", "--endpoint", "app"), []);
    assert.deepEqual(complete(other, "collect", "--out", "app"), ["app.otlp"]);
    assert.deepEqual(complete(other, "collect", "-c", "app"), []);
  });

  it("complete commands of commands", () => {
    assert.deepEqual(complete(other, "config", ""), ["check"]);
    assert.deepEqual(complete(other, "config", "check", "--s"), ["--strict"]);
    assert.deepEqual(complete(other, "config", "check", "app"), ["app.otlp"]);
    assert.deepEqual(complete(other, "config", "--s"), []);
  });

  it("say the same to zsh", () => {
    const script = zshCompletions(treeOf(program()));
    const lines = script.split("\n").map((line) => line.trim());
    assert.equal(lines[0], "#compdef otlp-mmap");
    for (
      const line of [
        "' collect --protocol') compadd -- 'grpc' 'http/json'; return ;;",
        "' collect --level') compadd -- 'debug' 'info'; return ;;",
        "' collect --out') _files; return ;;",
        "' config check') command=' config check' ;;",
        "offers=('collect:it'\\''s: all' 'config:the configuration'); _describe command offers",
        "offers=('--strict:more' '--help:display help for command' '-h:display help for command')",
      ]
    ) assert.ok(lines.includes(line), `${line}\n${script}`);
    // What zsh has of its own is not looked at: the words are those of sh.
    const { status, stderr } = spawnSync("bash", ["-n"], { input: script, encoding: "utf8" });
    assert.equal(status, 0, stderr);
  });

  it("say the same to fish", () => {
    const lines = fishCompletions(treeOf(program())).split("\n");
    const start = "complete -c otlp-mmap -n";
    const collect = `${start} '__otlp_mmap_at " collect"'`;
    const check = `${start} '__otlp_mmap_at " config check"'`;
    for (
      const line of [
        `${start} '__otlp_mmap_at ""' -a 'collect' -d 'it\\'s: all'`,
        `${collect} -F`,
        `${collect} -l 'protocol' -d 'it\\'s: one' -x -a 'grpc http/json'`,
        `${collect} -l 'out' -d 'where to' -r -F`,
        `${collect} -l 'count' -s 'c' -d 'how many' -x`,
        `${start} '__otlp_mmap_at " config"' -a 'check' -d 'check it'`,
        `${check} -l 'strict' -d 'more'`,
      ]
    ) assert.ok(lines.includes(line), `${line}\n${lines.join("\n")}`);
  });
});
