/**
 * `config check`: whether a configuration file can be used; `config schema`: its JSON Schema.
 *
 * @module
 */
import process from "node:process";
import { checkConfiguration } from "../config/check.ts";
import { configurationSchema } from "../config/schema.ts";
import { filePath } from "../options/arguments.ts";
import type { AddCommand } from "../program.ts";
import { log } from "../text/log.ts";

const HELP = `
What a file may say:
  collect:        every option of "collect", with _ for - (flush_interval: 500ms), and paths
  views:          views of metrics, as in OpenTelemetry's declarative configuration
  processors:     a list of steps on the way out: drop, keep, redact, hash, remove, rename, set
  tail_sampling:  which traces to keep, decided on when they are over
  resource:       attributes to add where they are missing, and what to detect

Examples:
  otlp-mmap config check otlp-mmap.yaml
  otlp-mmap config schema > otlp-mmap.schema.json

Exit codes:
  0  the file can be used
  2  it can't: each line says where and why
`;

const CHECK_HELP = `
Examples:
  otlp-mmap config check otlp-mmap.yaml && systemctl reload otlp-mmap

Exit codes:
  0  the file can be used; what in it has no effect, or needs a flag or variable beside it, is said
  2  it can't: each line says where and why
`;

const SCHEMA_HELP = `
Examples:
  otlp-mmap config schema > otlp-mmap.schema.json    for an editor

Exit codes:
  0  it was printed
`;

/** The command. */
export const config: AddCommand = (program, env, choose) => {
  const command = program.command("config")
    .description("check a configuration file")
    .addHelpText("after", HELP);
  command.command("check")
    .description("say what is wrong with a configuration file")
    .argument("<file>", "the file", filePath)
    .addHelpText("after", CHECK_HELP)
    .action((path: string) => {
      for (const warning of checkConfiguration(path, env)) log("warn", warning);
      choose(() => {
        process.stdout.write(`${path}: ok\n`);
        return Promise.resolve(0);
      });
    });
  command.command("schema")
    .description("print the JSON Schema of configuration files")
    .addHelpText("after", SCHEMA_HELP)
    .action(() =>
      choose(() => {
        process.stdout.write(`${JSON.stringify(configurationSchema(), null, 2)}\n`);
        return Promise.resolve(0);
      })
    );
};
