/**
 * The page of the collector, over what the demo recorded.
 *
 * @module
 */
import process from "node:process";
import type { Program } from "./programs.ts";
import { until } from "./programs.ts";

/** Does somebody look at a terminal, who could open a page? */
export function hasViewer(): boolean {
  return process.stdout.isTTY === true && !process.env.CI;
}

/** The address of the page, with its token, which the collector says on standard error. */
export async function pageOf(collector: Program): Promise<string> {
  const find = (): string | undefined => /^page: (\S+)$/m.exec(collector.errors())?.[1];
  await until(
    () => find() !== undefined,
    () => `the collector serves no page: ${collector.errors().trim()}`,
  );
  return find()!;
}
