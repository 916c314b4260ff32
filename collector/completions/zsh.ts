/**
 * Completions for zsh.
 *
 * @module
 */
import { allNodes, type CommandNode, quote, type Values } from "./tree.ts";

/** A script to be sourced, or to be put into a directory of `fpath` as `_otlp-mmap`. */
export function zshCompletions(program: CommandNode): string {
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
  const offers = nodes.map((node) => {
    const flags = node.options.flatMap(({ flags, description }) =>
      flags.map((flag) => describe(flag, description))
    );
    const names = node.commands.map(({ path, description }) =>
      describe(path[path.length - 1], description)
    );
    const rest = names.length > 0
      ? `offers=(${names.join(" ")}); _describe command offers`
      : offer(node.values);
    return `    ${quote(keyOf(node.path))})\n` +
      `      if [[ $words[CURRENT] == -* ]]; then\n` +
      `        offers=(${flags.join(" ")})\n` +
      `        _describe option offers\n` +
      `      else\n` +
      `        ${rest}\n` +
      `      fi ;;`;
  });
  return `#compdef otlp-mmap
# otlp-mmap: completions for zsh. Use: source <(otlp-mmap completions zsh)
_otlp_mmap() {
  local command="" before=$words[CURRENT-1] i
  local -a offers
  if [[ $words[CURRENT] == --*=* ]]; then
    before=\${words[CURRENT]%%=*}
    compset -P '*='
  fi
  for ((i = 2; i < CURRENT; i++)); do
    case "$command $words[i]" in
${commands.join("\n")}
    esac
  done
  case "$command $before" in
${values.join("\n")}
  esac
  case "$command" in
${offers.join("\n")}
  esac
}
if [[ $funcstack[1] == _otlp-mmap ]]; then _otlp_mmap "$@"; else compdef _otlp_mmap otlp-mmap; fi
`;
}

function describe(name: string, description: string): string {
  return quote(`${name.replaceAll(":", "\\:")}:${description}`);
}

function offer(values: Values): string {
  if (values === "unknown") return ":";
  return values === "files" ? "_files" : `compadd -- ${values.map(quote).join(" ")}`;
}
