/**
 * What can be said of a configuration file alone.
 *
 * @module
 */
import { Command } from "commander";
import { ArgumentsExit } from "../options/arguments.ts";
import { addCollect } from "../options/options.ts";
import type { Environment } from "../options/variables.ts";

/**
 * What a file may lack, and a collector's flags or variables say. As variables they never replace what
 * the file says; that an endpoint comes without a URL's beginning is right for gRPC alone.
 */
const COMPLETIONS: readonly Environment[] = [
  { OTEL_EXPORTER_OTLP_ENDPOINT: "endpoint.invalid" },
  { OTEL_EXPORTER_OTLP_ENDPOINT: "https://endpoint.invalid" },
  { OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" },
];

/**
 * What is to be said of a file that can be used: what in it has no effect, and what it needs flags or
 * variables for. Goes through the options of `collect`, which is what would read it.
 *
 * @throws ArgumentsExit where it can't be used, whatever flags and variables add to it.
 */
export function checkConfiguration(path: string, env: Environment): string[] {
  const unless = (said: string): string =>
    `${said.replace(/\.$/, "")}, unless a flag or variable says otherwise`;
  const warningsWith = (more: Environment): string[] => {
    let warnings: string[] = [];
    const scratch = new Command().exitOverride();
    addCollect(scratch, { ...env, ...more }, (options) => {
      warnings = options.warnings.map(unless);
    });
    scratch.parse(["collect", "--config", path], { from: "user" });
    return warnings;
  };
  try {
    return warningsWith({});
  } catch (refusal) {
    if (!(refusal instanceof ArgumentsExit)) throw refusal;
    for (const more of COMPLETIONS) {
      try {
        return [unless(refusal.message), ...warningsWith(more)];
      } catch (error) {
        if (!(error instanceof ArgumentsExit)) throw error;
      }
    }
    throw refusal;
  }
}
