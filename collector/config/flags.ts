/**
 * Options of a command from the configuration file: `--flush-interval` is `flush_interval` there.
 *
 * @module
 */
import { type Command, InvalidArgumentError, type Option } from "commander";
import type { ConfigFile, Field } from "../../lib/metrics/yaml-fields.ts";
import { didYouMean } from "../../lib/similar.ts";
import type { ListParser } from "../options/arguments.ts";
import { withoutCredentials } from "../options/endpoint.ts";
import type { FileNames } from "../options/given.ts";
import { printable } from "../text/text.ts";

/** Options that make no sense in a file. */
const NOT_IN_FILES: ReadonlySet<string> = new Set(["config", "help", "version"]);

/** The options of a command that a file may say, by their names there. */
export function fileOptions(command: Command): Map<string, Option> {
  return new Map(
    command.options.filter((option) => !NOT_IN_FILES.has(option.name()))
      .map((option) => [option.name().replaceAll("-", "_"), option]),
  );
}

/**
 * Gives a command the options of a file that were not given as arguments, through the same parsers.
 * Returns the paths that the file names, and what people call its options.
 *
 * @param whole Has every option that a file may say: those that the command lacks are read, and that
 * is all, so that one file serves several commands.
 */
export function applyFlags(
  command: Command,
  whole: Command,
  file: ConfigFile,
  fields: ReadonlyMap<string, Field>,
): { paths: string[]; names: FileNames } {
  const options = fileOptions(command);
  const all = fileOptions(whole);
  let paths: string[] = [];
  const given = new Map<string, Field>();
  for (const [name, field] of fields) {
    if (name === "paths") paths = textsOf(file, field);
    else if (options.has(name)) {
      applyOption(command, file, options.get(name)!, field);
      given.set(options.get(name)!.name(), field);
    } else if (all.has(name)) applyOption(whole, file, all.get(name)!, field);
    else {
      const there = ["paths", ...all.keys()];
      const hint = didYouMean(name, there);
      file.complain(field, `no such field${hint}; there is ${there.join(", ")}`);
    }
  }
  const fieldOf = (option: string, index?: number): Field => {
    const field = given.get(option)!;
    return file.isList(field) && index !== undefined ? file.entries(field)[index] : field;
  };
  return {
    paths,
    names: {
      nameOf(option, index) {
        const { value, name } = fieldOf(option, index);
        return `${file.placeOf(value)}: ${name}`;
      },
      sourceOf: (option, index) => `${file.path}: ${fieldOf(option, index).name}`,
    },
  };
}

function applyOption(command: Command, file: ConfigFile, option: Option, field: Field): void {
  const name = option.attributeName();
  let value: unknown;
  if (isSwitch(option)) {
    const on = file.boolean(field);
    // That it is not off takes nothing from what says where it is.
    if (on === false && option.negate && command.getOptionValueSource(name) !== undefined) return;
    value = on === undefined ? undefined : on !== option.negate;
  } else if (file.isList(field)) {
    if (!isRepeatable(option)) return file.complain(field, "must be one value, not a list");
    for (const entry of file.entries(field)) {
      const text = textOf(file, entry);
      if (text !== undefined) value = parsed(file, entry, option, text, value) ?? value;
    }
  } else {
    const scalar = file.anyScalar(field);
    if (scalar === undefined) return;
    const isOff = typeof scalar === "boolean" && mayBeOff(command, option);
    value = isOff ? scalar : parsed(file, field, option, String(scalar), undefined);
  }
  if (value === undefined || command.getOptionValueSource(name) === "cli") return;
  command.setOptionValueWithSource(name, value, "config");
}

/** Whether it is on or off, and nothing else. */
export function isSwitch(option: Option): boolean {
  return option.isBoolean() || option.negate;
}

/** Whether there is another option that says it is off. */
function mayBeOff(command: Command, option: Option): boolean {
  const name = option.attributeName();
  return command.options.some((each) => each.negate && each.attributeName() === name);
}

/** Whether true and false are values of it, among others. */
export function takesBoolean(command: Command, option: Option): boolean {
  return option.optional || mayBeOff(command, option);
}

/** Whether further values are added to the first. */
export function isRepeatable({ parseArg }: Option): boolean {
  return (parseArg as Partial<ListParser<unknown>> | undefined)?.isList === true;
}

function parsed(
  file: ConfigFile,
  field: Field,
  { parseArg }: Option,
  text: string,
  before: unknown,
): unknown {
  if (parseArg === undefined) return text;
  try {
    return parseArg(text, before);
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    const shown = printable(withoutCredentials(text), 200);
    const place = `${file.placeOf(field.value)}: ${field.name}`;
    file.problems.push(`${place} "${shown}" is invalid. ${error.message}`);
    return undefined;
  }
}

function textOf(file: ConfigFile, entry: Field): string | undefined {
  if (entry.value === null) file.complain(entry, "must be a text");
  return file.text(entry);
}

function textsOf(file: ConfigFile, list: Field): string[] {
  return file.entries(list).map((entry) => {
    const text = textOf(file, entry);
    if (text === "") file.complain(entry, "must not be empty");
    return text ?? "";
  });
}
