/**
 * The configuration file: everything the flags say, and what is too much for flags.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { readViews, type View } from "../../lib/metrics/views.ts";
import { ConfigFile, type Field } from "../../lib/metrics/yaml-fields.ts";
import { ArgumentsExit } from "../options/arguments.ts";
import type { Processor } from "../processors/processor.ts";
import type { TailSampling } from "../tail-sampling/sink.ts";
import { printable, whyNotRead } from "../text/text.ts";
import { readProcessors } from "./processors.ts";
import { readResource } from "./resource.ts";
import { readTailSampling } from "./tail-sampling.ts";

/** What a configuration file says besides flags. */
export interface Configuration {
  readonly views: readonly View[];
  /** In the order in which they are applied. */
  readonly processors: readonly Processor[];
  readonly tailSampling: TailSampling | null;
}

/** The configuration without a file. */
export const NO_CONFIGURATION: Configuration = { views: [], processors: [], tailSampling: null };

/** Names at the top of a file. */
export const TOP_FIELDS = [
  "collect",
  "views",
  "meter_provider",
  "processors",
  "tail_sampling",
  "resource",
] as const;

/**
 * Reads a file. One with a `file_format` is an application's declarative configuration
 * (opentelemetry-configuration), of which everything that is not ours is passed over; its `resource`
 * is the application's.
 *
 * @param path What is read, and what people call it.
 * @param readFlags Gets the fields of `collect`, and tells the file what is wrong with them.
 * @throws ArgumentsExit with everything that is wrong, a line each.
 */
export function readConfiguration(
  path: string,
  readFlags: (file: ConfigFile, fields: ReadonlyMap<string, Field>) => void,
): Configuration {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new ArgumentsExit(
      2,
      `the configuration ${printable(path)} can't be read: ${whyNotRead(error as Error)}`,
    );
  }
  const file = new ConfigFile(text, path);
  const configuration = file.root === null ? NO_CONFIGURATION : readFields(file, readFlags);
  if (file.problems.length > 0) {
    throw new ArgumentsExit(2, file.problems.map((problem) => printable(problem)).join("\n"));
  }
  return configuration;
}

/** The views of a file, for those who use nothing else of it; none without a file. */
export function readViewsOf(path: string | undefined): readonly View[] {
  return path === undefined ? [] : readConfiguration(path, () => {}).views;
}

function readFields(
  file: ConfigFile,
  readFlags: (file: ConfigFile, fields: ReadonlyMap<string, Field>) => void,
): Configuration {
  const all = file.fields(file.root, "", null, undefined);
  if (file.problems.length > 0) return NO_CONFIGURATION;
  const isDeclarative = all.has("file_format");
  const top = isDeclarative ? all : file.fields(file.root, "", null, TOP_FIELDS);
  const collect = top.get("collect");
  if (collect !== undefined && collect.value !== null) {
    readFlags(file, file.fields(collect.value, collect.name, collect.key, undefined));
  }
  const resource = isDeclarative ? undefined : top.get("resource");
  return {
    views: readViews(file, top),
    processors: [
      ...readProcessors(file, top.get("processors")),
      ...readResource(file, resource),
    ],
    tailSampling: readTailSampling(file, top.get("tail_sampling")),
  };
}
