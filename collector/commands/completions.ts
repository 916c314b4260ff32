/**
 * `completions`: scripts by which shells complete commands, options and their values.
 *
 * @module
 */
import process from "node:process";
import { bashCompletions } from "../completions/bash.ts";
import { fishCompletions } from "../completions/fish.ts";
import { type CommandNode, treeOf } from "../completions/tree.ts";
import { zshCompletions } from "../completions/zsh.ts";
import { oneOf } from "../options/arguments.ts";
import type { AddCommand } from "../program.ts";

const HELP = `
Examples:
  source <(otlp-mmap completions bash)                  in ~/.bashrc
  source <(otlp-mmap completions zsh)                   in ~/.zshrc, after compinit
  otlp-mmap completions fish | source                   in ~/.config/fish/config.fish

Exit codes:
  0  the script was printed
  2  a bad argument
`;

const SHELLS: Record<string, (program: CommandNode) => string> = {
  bash: bashCompletions,
  zsh: zshCompletions,
  fish: fishCompletions,
};

/** The command. */
export const completions: AddCommand = (program, _env, choose) => {
  program.command("completions")
    .description("print a script by which a shell completes otlp-mmap's commands and options")
    .argument("<shell>", "the shell", oneOf(...Object.keys(SHELLS)))
    .addHelpText("after", HELP)
    .action((shell: string) =>
      choose(() => {
        process.stdout.write(SHELLS[shell](treeOf(program)));
        return Promise.resolve(0);
      })
    );
};
