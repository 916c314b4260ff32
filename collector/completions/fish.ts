/**
 * Completions for fish.
 *
 * @module
 */
import { allNodes, type CommandNode, type Values } from "./tree.ts";

/** A script to be sourced, or to be put into `~/.config/fish/completions/otlp-mmap.fish`. */
export function fishCompletions(program: CommandNode): string {
  const lines = [
    "# otlp-mmap: completions for fish. Use: otlp-mmap completions fish | source",
    "complete -c otlp-mmap -f",
  ];
  for (const node of allNodes(program)) {
    const when = quote(conditionOf(node));
    for (const { commands: _, path, description } of node.commands) {
      const name = quote(path[path.length - 1]);
      lines.push(`complete -c otlp-mmap -n ${when} -a ${name} -d ${quote(description)}`);
    }
    if (node.values !== "unknown") {
      lines.push(`complete -c otlp-mmap -n ${when} ${takes(node.values)}`);
    }
    for (const { flags, description, values } of node.options) {
      const names = flags.map((flag) =>
        flag.startsWith("--") ? `-l ${quote(flag.slice(2))}` : `-s ${quote(flag.slice(1))}`
      );
      const value = values === null ? "" : ` ${values === "files" ? "-r" : "-x"} ${takes(values)}`;
      lines.push(
        `complete -c otlp-mmap -n ${when} ${names.join(" ")} -d ${quote(description)}${value}`
          .trimEnd(),
      );
    }
  }
  return lines.join("\n") + "\n";
}

/** When the command line has come to this command and to none below it. */
function conditionOf({ commands, path }: CommandNode): string {
  if (path.length === 0) return "__fish_use_subcommand";
  const seen = path.map((name) => `__fish_seen_subcommand_from ${name}`);
  if (commands.length > 0) {
    const names = commands.map((each) => each.path[each.path.length - 1]).join(" ");
    seen.push(`not __fish_seen_subcommand_from ${names}`);
  }
  return seen.join("; and ");
}

function takes(values: Values): string {
  if (values === "unknown") return "";
  return values === "files" ? "-F" : `-a ${quote(values.join(" "))}`;
}

/** Fish knows two escapes inside single quotes. */
function quote(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
