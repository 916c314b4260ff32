/**
 * Programs that may be installed, and commands in documentation, taken apart as far as that needs.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import process from "node:process";

/** What a program prints; undefined where it is not installed, or fails. */
export function outputOf(command: string, ...args: string[]): string | undefined {
  // Nothing is asked of a cluster.
  const env = { ...process.env, KUBECONFIG: "/dev/null" };
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", env });
  return status === 0 ? `${stdout}${stderr}` : undefined;
}

/** The words of each command in the `sh` blocks of a page. */
export function commandsIn(markdown: string): string[][] {
  return [...markdown.matchAll(/^```sh\n([^]*?)^```$/gm)].flatMap(([, block]) =>
    block.split("\n").flatMap(pipelineOf)
  ).filter((words) => words.length > 0);
}

/** The commands of a line, without `sudo`. */
function pipelineOf(line: string): string[][] {
  const commands: string[][] = [[]];
  for (const [word] of line.matchAll(/'[^']*'|#.*$|[^\s']+/g)) {
    if (word.startsWith("#")) break;
    if (word === "|") commands.push([]);
    else if (word !== "sudo") commands[commands.length - 1].push(word.replace(/^'(.*)'$/, "$1"));
  }
  return commands;
}
