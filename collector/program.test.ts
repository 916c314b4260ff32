/** What people are told who mistype. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { observe } from "../tests/support/collector.ts";
import { ownRuntime } from "../tests/support/runtimes.ts";
import { ArgumentsExit } from "./options/arguments.ts";
import { parseProgram } from "./program.ts";

function refusal(...argv: string[]): string {
  try {
    parseProgram(argv, {});
  } catch (error) {
    assert.ok(error instanceof ArgumentsExit, String(error));
    assert.equal(error.exitCode, 2);
    return error.message;
  }
  return assert.fail(`accepted: ${argv.join(" ")}`);
}

function help(...argv: string[]): string {
  try {
    parseProgram([...argv, "--help"], {});
  } catch (error) {
    assert.ok(error instanceof ArgumentsExit, String(error));
    assert.equal(error.exitCode, 0);
    return error.message;
  }
  return assert.fail("went on");
}

/** The commands that help lists. */
const COMMANDS = [...help().split("Examples:")[0].matchAll(/^ {2}([a-z]+)\b.* {2}/gm)].map((
  [, name],
) => name)
  .filter((name) => name !== "help");

describe("the command line", () => {
  it("names a command it does not know, one that is like it, and those there are", () => {
    assert.ok(COMMANDS.includes("collect") && COMMANDS.includes("completions"), `${COMMANDS}`);
    const all = `; the commands are ${COMMANDS.join(", ")} (see otlp-mmap --help)`;
    assert.equal(
      refusal("colect"),
      `error: unknown command 'colect' (Did you mean collect?)${all}`,
    );
    assert.equal(refusal("zzzzzz", "--once"), `error: unknown command 'zzzzzz'${all}`);
  });

  it("takes no empty path, which is a variable that a script forgot", () => {
    const empty =
      /^error: .*'' is invalid.* It is empty, as of a variable in a script that is not set/;
    const paths: string[] = [];
    for (const command of [...COMMANDS, "config check"]) {
      const text = help(...command.split(" "));
      const [words] = text.split("\n", 1);
      const named = /[[<](paths|files?)(\.{3})?[\]>]/.test(words) ? [""] : [];
      const options = [...text.matchAll(/^ {2}(--[a-z-]+) [[<](?:file|dir)[\]>]/gm)];
      for (const last of [...named, ...options.map(([, option]) => `${option}=`)]) {
        const path = `${command} ${last}`;
        assert.match(refusal(...command.split(" "), last), empty, path);
        paths.push(path);
      }
    }
    for (const some of ["collect ", "config check ", "sql --store=", "collect --spool="]) {
      assert.ok(paths.includes(some), `${some} in ${paths}`);
    }
  });

  it("takes no SQL in which nothing is asked", () => {
    for (const text of ["", " ;\n", "-- SELECT 1", "/* SELECT\n1 */;"]) {
      const none =
        /^error: [^]* is invalid for argument 'statement'\. There is no statement in it\./;
      assert.match(refusal("sql", "--", text), none, text);
    }
    for (const text of ["SELECT '--'", "-- a\nSELECT 1", "SELECT 1;"]) {
      parseProgram(["sql", "--", text], {});
    }
  });

  it("names an option it does not know, one that is like it, and those there are", () => {
    assert.match(
      refusal("collect", "--endpiont", "http://x"),
      /^error: unknown option '--endpiont' \(Did you mean --endpoint\?\); the options are --endpoint, .*--keep.* \(see otlp-mmap collect --help\)$/,
    );
    // What is behind it may be a secret.
    assert.match(
      refusal("collect", "--headr=authorization=hunter2"),
      /^error: unknown option '--headr' \(Did you mean --header\?\); the options are /,
    );
    assert.equal(
      refusal("collect", "--insecure=true"),
      "error: option '--insecure' takes no value (see otlp-mmap collect --help)",
    );
    assert.match(
      refusal("collect", "-Hauthorization: hunter2"),
      /^error: unknown option '-Hauthorization…'; the options are /,
    );
    assert.match(
      refusal("collect", "--endpoint:http://hunter2"),
      /^error: unknown option '--endpoint…' \(Did you mean --endpoint\?\); /,
    );
    for (const option of ["--headr=authorization=hunter2", "-Hauthorization: hunter2"]) {
      assert.doesNotMatch(refusal("collect", option), /hunter2/);
    }
    assert.equal(
      refusal("inspect", "--yaml", "a.otlp"),
      "error: unknown option '--yaml'; the options are --json (see otlp-mmap inspect --help)",
    );
    assert.equal(
      refusal("--versoin"),
      "error: unknown option '--versoin' (Did you mean --version?); the options are --version " +
        "(see otlp-mmap --help)",
    );
  });

  it("names the option and what it may be when a value is bad", () => {
    assert.equal(
      refusal("collect", "--compression", "zip"),
      "error: option '--compression <name>' argument 'zip' is invalid. It is not gzip or none. " +
        "(Did you mean gzip?)",
    );
    const near = {
      "--protocol": ["grcp", "grpc, http/protobuf or http/json. (Did you mean grpc?)"],
      "--logs-protocol": [
        "http",
        "grpc, http/protobuf or http/json. (Did you mean http/protobuf or http/json?)",
      ],
      "--log-level": ["wran", "debug, info, warn or error. (Did you mean warn?)"],
      "--log-format": ["yaml", "text or json."],
    };
    for (const [option, [value, said]] of Object.entries(near)) {
      assert.equal(
        refusal("collect", option, value).replace(/ <\w+>/, ""),
        `error: option '${option}' argument '${value}' is invalid. It is not ${said}`,
      );
    }
    assert.equal(
      refusal("completions", "tcsh"),
      "error: command-argument value 'tcsh' is invalid for argument 'shell'. It is not bash, " +
        "zsh or fish.",
    );
    assert.equal(
      refusal("size", "--rate"),
      "error: option '--rate <count>' argument missing (see otlp-mmap size --help)",
    );
  });

  it("wants the arguments that a command needs, and no more", () => {
    assert.equal(
      refusal("recover"),
      "error: missing required argument 'files' (see otlp-mmap recover --help)",
    );
    assert.match(
      refusal("size", "--rate", "1", "more"),
      /^error: too many arguments.* \(see otlp-mmap size --help\)$/,
    );
    assert.match(refusal("config"), /^Usage: otlp-mmap config(?:.|\n)*where and why$/);
  });

  it("has examples and exit codes in the help of every command", () => {
    for (const command of ["", ...COMMANDS, "config check", "config schema"]) {
      const text = help(...command.split(" ").filter((word) => word !== ""));
      assert.match(text, new RegExp(`^Examples:\\n(?:.*\\n)*? {2}.*otlp-mmap ${command}\\b`, "m"));
      assert.match(text, /^Exit codes:\n {2}0 /m, command);
    }
  });

  it("ends with 2, and says it on standard error", async () => {
    const program = observe(ownRuntime, "collector/main.ts", ["doctor", "--jsno"]);
    let output = "";
    program.child.stdout!.on("data", (text: string) => output += text);
    assert.deepEqual(await program.ended, { code: 2, signal: null });
    assert.equal(output, "");
    assert.match(
      program.text(),
      /^otlp-mmap: error: unknown option '--jsno' \(Did you mean --json\?\); the options are .*\n$/,
    );
  });
});
