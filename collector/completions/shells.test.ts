/** What shells themselves offer with our scripts: bash, and zsh and fish where they are. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { observe } from "../../tests/support/collector.ts";
import { ownRuntime } from "../../tests/support/runtimes.ts";
import { folders } from "../testing/run.ts";

const folder = folders("completions-shells");

/** Lines that end where Tab is pressed, and what is to be offered for them. */
const EXPECTED: readonly (readonly [line: string, offers: readonly string[]])[] = [
  ["col", ["collect"]],
  ["config ", ["check", "schema"]],
  ["completions ", ["bash", "fish", "zsh"]],
  ["collect --endp", ["--endpoint"]],
  ["inspect --", ["--help", "--json"]],
  ["inspect --endp", []],
  ["config check --", ["--help"]],
  ["collect --compression ", ["gzip", "none"]],
  ["collect --compression=", ["gzip", "none"]],
  ["collect ap", ["app.otlp"]],
  ["collect --config ap", ["app.otlp"]],
  ["collect --endpoint ap", []],
  ["config check ap", ["app.otlp"]],
  // Names of files and values may be those of commands.
  ["inspect collect --", ["--help", "--json"]],
  ["collect --bearer-token-file config --endp", ["--endpoint"]],
];

/** Is there a shell of this name here? */
function has(shell: string): boolean {
  return spawnSync(shell, ["-c", "exit 7"]).status === 7;
}

/** The script, and a folder with a file to offer. */
async function prepare(shell: string): Promise<{ script: string; files: string }> {
  const command = observe(ownRuntime, "collector/main.ts", ["completions", shell]);
  assert.equal((await command.ended).code, 0, command.text());
  const place = folder();
  const files = join(place, "files");
  mkdirSync(files);
  writeFileSync(join(files, "app.otlp"), "");
  const script = join(place, "_otlp-mmap");
  writeFileSync(script, command.text());
  return { script, files };
}

function check(offered: (line: string, index: number) => string[]): void {
  EXPECTED.forEach(([line, offers], index) => {
    // A shell may ask for the same more than once.
    assert.deepEqual([...new Set(offered(line, index))].sort(), [...offers], `otlp-mmap ${line}`);
  });
}

it("bash offers what our script says", async () => {
  const { script, files } = await prepare("bash");
  check((line) => {
    // As bash parts it, which takes an equals sign for a word.
    const words = line.split(/ |(=)/).filter((word) => word !== undefined);
    if (line.endsWith("=")) words.pop();
    const commands = `source '${script}'; cd '${files}'; ` +
      `COMP_WORDS=(otlp-mmap ${words.map((word) => `'${word}'`).join(" ")}); ` +
      `COMP_CWORD=${words.length}; _otlp_mmap; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { status, stdout, stderr } = spawnSync("bash", ["-c", commands], { encoding: "utf8" });
    assert.deepEqual([status, stderr], [0, ""]);
    return stdout.split("\n").filter((offer) => offer !== "");
  });
});

if (has("fish")) {
  it("fish offers what our script says", async () => {
    const { script, files } = await prepare("fish");
    check((line) => {
      const commands = `source '${script}'; cd '${files}'; complete -C 'otlp-mmap ${line}'`;
      const { status, stdout, stderr } = spawnSync("fish", ["--no-config", "-c", commands], {
        encoding: "utf8",
      });
      assert.equal(status, 0, stderr);
      assert.equal(stderr, "");
      const offers = stdout.split("\n").filter((offer) => offer !== "");
      // Of a value behind an equals sign, the whole word.
      return offers.map((offer) => offer.split("\t")[0].replace(/^--\w+=/, ""));
    });
  });
}

/**
 * Presses Tab in a shell with a terminal. The function that takes offers notes them; as the shell does
 * one thing after the other, the note that it has gone on comes after those.
 */
const driver = (setup: string, files: string, notes: string): string => `
zmodload zsh/zpty zsh/datetime || exit 3
zpty shell zsh -f -i
zpty -w shell "unsetopt zle_bracketed_paste beep; LISTMAX=1000; cd '${files}'"
zpty -w shell "autoload -Uz compinit && compinit -u -D; ${setup}"
zpty -w shell 'compadd() {
  local -a offers; builtin compadd -A offers "$@"
  (( $#offers )) && print -rl -- offer:$^offers >> "${notes}"
  builtin compadd "$@"
}'
wait_for() {
  local -F until=$(( EPOCHREALTIME + 60 ))
  until grep -qx "$1" "${notes}" 2>/dev/null; do
    (( EPOCHREALTIME > until )) && exit 4
    zpty -r -t shell ignored; sleep 0.05
  done
}
zpty -w shell 'print ready >> "${notes}"'
wait_for ready
${
  EXPECTED.map(([line], i) =>
    `zpty -w -n shell 'otlp-mmap ${line}'$'\\t\\x15'\n` +
    `zpty -w shell 'print done-${i} >> "${notes}"'\nwait_for done-${i}`
  ).join("\n")
}
zpty -d shell
`;

if (has("zsh")) {
  describe("zsh offers what our script says", () => {
    for (const how of ["sourced", "in fpath"]) {
      it(how, async () => {
        const { script, files } = await prepare("zsh");
        const notes = join(folder(), "notes");
        const setup = how === "sourced"
          ? `source '${script}'`
          : `fpath=('${join(script, "..")}' $fpath); compinit -u -D`;
        const file = join(folder(), "driver");
        writeFileSync(file, driver(setup.replaceAll("$", "\\$"), files, notes));
        const { status, stderr } = spawnSync("zsh", ["-f", file], {
          encoding: "utf8",
          timeout: 120_000,
        });
        assert.equal(status, 0, stderr);
        const pieces = readFileSync(notes, "utf8").split(/^(?:ready|done-\d+)\n/m).slice(1);
        check((_, index) =>
          pieces[index].split("\n").filter((each) => each.startsWith("offer:"))
            .map((each) => each.slice("offer:".length))
        );
      });
    }
  });
}
