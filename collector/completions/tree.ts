/**
 * Commands, options and the values they take, as commander knows them: what all shells are told.
 *
 * @module
 */
import type { Command, Option } from "commander";
import type { WordParser } from "../options/arguments.ts";

/** What may follow: some words, a file, or something that a shell can't know. */
export type Values = readonly string[] | "files" | "unknown";

/** An option. */
export interface OptionNode {
  /** With its dashes, the long one first. */
  readonly flags: readonly string[];
  readonly description: string;
  /** What follows it; null when nothing does. */
  readonly values: Values | null;
}

/** A command, or the program itself. */
export interface CommandNode {
  /** Names from the program's first command on; empty for the program. */
  readonly path: readonly string[];
  readonly description: string;
  readonly options: readonly OptionNode[];
  /** What its arguments are. */
  readonly values: Values;
  readonly commands: readonly CommandNode[];
}

/** The program and all its commands that help shows. */
export function treeOf(command: Command, path: readonly string[] = []): CommandNode {
  const help = command.createHelp();
  const commands = help.visibleCommands(command).filter((each) => each.parent === command);
  const argument = command.registeredArguments.at(-1);
  return {
    path,
    description: command.description(),
    options: help.visibleOptions(command).map((option) => {
      const words = wordsOf(option);
      return {
        flags: [option.long, option.short].filter((flag) => flag !== undefined && flag !== null),
        description: option.description,
        values: option.required || option.optional ? words ?? placeholder(option.flags) : null,
      };
    }),
    values: argument === undefined
      ? "unknown"
      : wordsOf(argument) ?? placeholder(`<${argument.name()}>`),
    commands: commands.map((each) => treeOf(each, [...path, each.name()])),
  };
}

function wordsOf(
  { argChoices, parseArg }: Pick<Option, "argChoices" | "parseArg">,
): readonly string[] | undefined {
  return argChoices ?? (parseArg as Partial<WordParser<string>> | undefined)?.words;
}

function placeholder(flags: string): Values {
  return /[<[][^>\]]*(file|path|dir)/i.test(flags) ? "files" : "unknown";
}

/** The node and all below it. */
export function allNodes(node: CommandNode): CommandNode[] {
  return [node, ...node.commands.flatMap(allNodes)];
}

/** A text as one word of a shell: of bash and zsh, which know no escapes inside single quotes. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
