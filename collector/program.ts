/**
 * The command line of `otlp-mmap`: its commands, and which of them was asked for.
 *
 * @module
 */
import { Command, CommanderError } from "commander";
import { didYouMean } from "../lib/similar.ts";
import packageJson from "../package.json" with { type: "json" };
import { ArgumentsExit } from "./options/arguments.ts";
import { collect } from "./commands/collect.ts";
import { completions } from "./commands/completions.ts";
import { config } from "./commands/config.ts";
import { doctor } from "./commands/doctor.ts";
import { exportCommand } from "./commands/export.ts";
import { importCommand } from "./commands/import.ts";
import { inspect } from "./commands/inspect.ts";
import { recover } from "./commands/recover.ts";
import { run } from "./commands/run.ts";
import { size } from "./commands/size.ts";
import { sql } from "./commands/sql.ts";
import { tail } from "./commands/tail.ts";
import type { Environment } from "./options/variables.ts";

/** What a command does; resolves to the program's exit code. */
export type Action = () => Promise<number>;

/** Adds a command to the program; `choose` is called with what to do when it was asked for. */
export type AddCommand = (
  program: Command,
  env: Environment,
  choose: (action: Action) => void,
) => void;

const HELP = `
Examples:
  otlp-mmap run -- bun app.ts                           what was it doing when it crashed?
  otlp-mmap collect                                     show the telemetry of everything that runs
  otlp-mmap collect --endpoint http://localhost:4318    send it to a backend
  otlp-mmap doctor                                      is this machine ready?

Exit codes:
  0  it went well; 2: a bad argument or variable; others: see the help of each command
`;

/** All commands, in the order of the help. */
const COMMANDS: readonly AddCommand[] = [
  collect,
  tail,
  run,
  inspect,
  recover,
  doctor,
  size,
  exportCommand,
  importCommand,
  sql,
  config,
  completions,
];

/**
 * Parses the arguments after the program's name.
 *
 * @throws ArgumentsExit when the program ends here: exit code 0 with the help or version to print,
 * or 2 with what is bad about an argument or variable.
 */
export function parseProgram(argv: readonly string[], env: Environment): Action {
  let action: Action | undefined;
  parseWith(argv, (program) => {
    for (const add of COMMANDS) {
      add(program, env, (chosen) => {
        action = chosen;
      });
    }
  });
  return action!;
}

/**
 * Parses with the commands that `add` adds, one of which has its action called before this returns.
 *
 * @throws ArgumentsExit as {@linkcode parseProgram}.
 */
export function parseWith(argv: readonly string[], add: (program: Command) => void): void {
  let output = "";
  const program = new Command("otlp-mmap")
    .description(
      "Reads the telemetry that applications write into memory-mapped files, and sends it.",
    )
    .version(packageJson.version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => {
        output += text;
      },
      writeErr: (text) => {
        output += text;
      },
      // No colours: help is compared and piped.
      getOutHelpWidth: () => 100,
      getErrHelpWidth: () => 100,
    });
  program.addHelpText("after", HELP);
  add(program);
  try {
    program.parse(argv, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    const failed = error.exitCode !== 0 || argv.length === 0;
    // One line, as every other error is.
    const text = output.trimEnd().replace(/\n(?=\(Did you mean)/, " ");
    throw new ArgumentsExit(failed ? 2 : 0, failed ? complete(text, error, program, argv) : text);
  }
}

/** Behind the name of what is unknown: what is known; behind what is missing: where to look. */
function complete(
  text: string,
  { code, message }: CommanderError,
  program: Command,
  argv: readonly string[],
): string {
  // The help itself, or a bad value: what is wrong with it says what would be right.
  if (code === "commander.help" || code === "commander.invalidArgument") return text;
  let command = program;
  const path = ["otlp-mmap"];
  for (const word of argv) {
    const next = command.commands.find((each) => each.name() === word);
    if (next === undefined) break;
    command = next;
    path.push(word);
  }
  const help = `(see ${path.join(" ")} --help)`;
  if (code === "commander.unknownCommand") {
    const commands = command.commands.map((each) => each.name()).join(", ");
    return `${text}; the commands are ${commands} ${help}`;
  }
  if (code === "commander.unknownOption") {
    // What is behind the name may be a secret: --x=…, -Hauthorization: ….
    const [, name, behind] = /'([\w-]*)(.)/.exec(message) ?? ["", "", ""];
    const options = command.options.map(({ long, short }) => long ?? short ?? "");
    // It is known as long as nothing is behind it: --insecure=true.
    if (behind === "=" && options.includes(name)) {
      return `error: option '${name}' takes no value ${help}`;
    }
    const known = options.length === 0 ? "" : `; the options are ${options.join(", ")}`;
    const shown = name + (behind === "'" || behind === "=" ? "" : "…");
    return `error: unknown option '${shown}'${didYouMean(name, options)}${known} ${help}`;
  }
  return `${text} ${help}`;
}
