/**
 * Which options were given, where, and what people call them there.
 *
 * @module
 */
import type { Command } from "commander";

/** The options of a command, by their names: `endpoint` for `--endpoint`. */
export interface Given {
  /** Where an option was given: as a flag, in the configuration file, or nowhere. */
  where(option: string): "flag" | "file" | null;
  /**
   * What messages call it: the flag, or its place in the file.
   *
   * @param index Of a value, where several were given.
   */
  nameOf(option: string, index?: number): string;
  /** The same without line and column, which change whenever the file does. */
  sourceOf(option: string, index?: number): string;
}

/** What people call the options of a configuration file. */
export interface FileNames {
  /** `FILE:LINE:COLUMN: collect.header[1]`. */
  nameOf(option: string, index?: number): string;
  /** `FILE: collect.header[1]`. */
  sourceOf(option: string, index?: number): string;
}

/** What was given to a command, with its configuration file if it has one. */
export function givenTo(command: Command, file?: FileNames): Given {
  const where = (option: string): "flag" | "file" | null => {
    const found = command.options.find((each) => each.name() === option);
    switch (found && command.getOptionValueSource(found.attributeName())) {
      case "cli":
        return "flag";
      case "config":
        return "file";
      default:
        return null;
    }
  };
  const names = (option: string): FileNames =>
    where(option) === "file" && file !== undefined ? file : FLAGS;
  return {
    where,
    nameOf: (option, index) => names(option).nameOf(option, index),
    sourceOf: (option, index) => names(option).sourceOf(option, index),
  };
}

const FLAGS: FileNames = { nameOf: (option) => `--${option}`, sourceOf: (option) => `--${option}` };

/** Everything that there is was given as a flag. */
export const ALL_FLAGS: Given = { where: () => "flag", ...FLAGS };
