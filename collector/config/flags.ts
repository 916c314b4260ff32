/**
 * Options of a command from the configuration file: `--flush-interval` is `flush_interval` there.
 *
 * @module
 */
import { type Command, InvalidArgumentError, type Option } from "commander";
import type { ConfigFile, Field } from "../../lib/metrics/yaml-fields.ts";
import type { FileNames } from "../options/given.ts";

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
 */
export function applyFlags(
  command: Command,
  file: ConfigFile,
  fields: ReadonlyMap<string, Field>,
): { paths: string[]; names: FileNames } {
  const options = fileOptions(command);
  let paths: string[] = [];
  const given = new Map<string, Field>();
  for (const [name, field] of fields) {
    if (name === "paths") paths = textsOf(file, field);
    else if (options.has(name)) {
      applyOption(command, file, options.get(name)!, field);
      given.set(options.get(name)!.name(), field);
    } else {
      const there = ["paths", ...options.keys()].join(", ");
      file.complain(field, `no such field; there is ${there}`);
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
  if (option.isBoolean()) {
    value = file.boolean(field);
  } else if (file.isList(field)) {
    if (!isRepeatable(option)) return file.complain(field, "must be one value, not a list");
    for (const text of textsOf(file, field)) value = parsed(option, text, value);
  } else {
    const scalar = file.anyScalar(field);
    if (scalar === undefined) return;
    try {
      value = parsed(option, String(scalar), undefined);
    } catch (error) {
      if (!(error instanceof InvalidArgumentError)) throw error;
      return file.complain(field, error.message);
    }
  }
  if (value === undefined || command.getOptionValueSource(name) === "cli") return;
  command.setOptionValueWithSource(name, value, "config");
}

/** Whether further values are added to the first. */
export function isRepeatable(option: Option): boolean {
  try {
    return Array.isArray(parsed(option, "", undefined));
  } catch {
    return false;
  }
}

function parsed(option: Option, text: string, before: unknown): unknown {
  return option.parseArg === undefined ? text : option.parseArg(text, before);
}

function textsOf(file: ConfigFile, list: Field): string[] {
  return file.entries(list).map((entry) => {
    if (entry.value === null) file.complain(entry, "must be a text");
    return file.text(entry) ?? "";
  });
}
