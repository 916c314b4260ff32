/**
 * Completions for bash, from 3.2 on.
 *
 * @module
 */
import { allNodes, type CommandNode, quote, type Values } from "./tree.ts";

/** A script to be sourced. */
export function bashCompletions(program: CommandNode): string {
  const nodes = allNodes(program);
  const keyOf = (path: readonly string[]): string => path.map((name) => ` ${name}`).join("");
  const commands = nodes.filter(({ path }) => path.length > 0).map(({ path }) =>
    `      ${quote(keyOf(path))}) command=${quote(keyOf(path))} ;;`
  );
  const values = nodes.flatMap(({ options, path }) =>
    options.flatMap((option) =>
      option.values === null
        ? []
        : option.flags.map((flag) =>
          `    ${quote(`${keyOf(path)} ${flag}`)}) ${offer(option.values!)}; return ;;`
        )
    )
  );
  const words = nodes.map((node) => {
    const flags = node.options.flatMap((option) => option.flags).join(" ");
    const names = node.commands.map(({ path }) => path[path.length - 1]);
    return `    ${quote(keyOf(node.path))})\n` +
      `      if [[ $current == -* ]]; then ${offer(flags.split(" "))}\n` +
      `      else ${offer(names.length > 0 ? names : node.values)}; fi ;;`;
  });
  return `# otlp-mmap: completions for bash. Use: source <(otlp-mmap completions bash)
_otlp_mmap_words() {
  COMPREPLY=($(compgen -W "$1" -- "$current"))
}
_otlp_mmap_files() {
  local IFS=$'\\n'
  compopt -o filenames 2>/dev/null
  COMPREPLY=($(compgen -f -- "$current"))
}
_otlp_mmap() {
  local command="" current="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" i
  COMPREPLY=()
  # Bash takes the = of --flag=value for a word of its own.
  if [[ $current == = ]]; then current=""
  elif [[ $before == = ]]; then before="\${COMP_WORDS[COMP_CWORD-2]}"
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$command \${COMP_WORDS[i]}" in
${commands.join("\n")}
    esac
  done
  case "$command $before" in
${values.join("\n")}
  esac
  case "$command" in
${words.join("\n")}
  esac
}
complete -F _otlp_mmap otlp-mmap
`;
}

function offer(values: Values): string {
  if (values === "unknown") return ":";
  return values === "files" ? "_otlp_mmap_files" : `_otlp_mmap_words ${quote(values.join(" "))}`;
}
