/**
 * Completions for fish.
 *
 * @module
 */
import { allNodes, type CommandNode, type Values } from "./tree.ts";

/** A script to be sourced, or to be put into `~/.config/fish/completions/otlp-mmap.fish`. */
export function fishCompletions(program: CommandNode): string {
  const nodes = allNodes(program);
  const keys = nodes.filter(({ path }) => path.length > 0).map((node) => quote(keyOf(node)));
  // Words further on may be those of commands, too, and are none there.
  const lines = [
    "# otlp-mmap: completions for fish. Use: otlp-mmap completions fish | source",
    "function __otlp_mmap_at",
    "  set -l command",
    "  for word in (commandline -opc)[2..-1]",
    '    switch "$command $word"',
    `      case ${keys.join(" ")}`,
    '        set command "$command $word"',
    "    end",
    "  end",
    '  test "$command" = "$argv[1]"',
    "end",
    "complete -c otlp-mmap -f",
  ];
  for (const node of nodes) {
    const when = quote(`__otlp_mmap_at "${keyOf(node)}"`);
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

function keyOf({ path }: CommandNode): string {
  return path.map((name) => ` ${name}`).join("");
}

function takes(values: Values): string {
  if (values === "unknown") return "";
  return values === "files" ? "-F" : `-a ${quote(values.join(" "))}`;
}

/** Fish knows two escapes inside single quotes. */
function quote(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
