/**
 * Collectors with journals, and programs that give them something to do.
 *
 * @module
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { until } from "../../collector/testing/run.ts";
import type { JournaledOptions } from "../testdata/journaled-collector.ts";
import { observe, type Observed, type ObserveOptions } from "./collector.ts";
import { type Program, startProgram } from "./programs.ts";
import { ownRuntime, type RuntimeName } from "./runtimes.ts";
import type { Recorded } from "./stored.ts";

/** A place for files, and one for spool and journal. */
export interface JournalPlace {
  readonly files: string;
  readonly spool: string;
  readonly journal: string;
}

/** Makes places, which are removed when the tests of the file are done. */
export function places(name: string): () => JournalPlace {
  const root = mkdtempSync(join(tmpdir(), `otlp-mmap-${name}-`));
  after(() => rmSync(root, { recursive: true }));
  let count = 0;
  return () => {
    const place = join(root, String(++count));
    const files = join(place, "files");
    mkdirSync(files, { recursive: true });
    return { files, spool: join(place, "spool"), journal: join(place, "spool", "journal") };
  };
}

/** Starts the collector that stores and sends nothing. */
export async function startJournaled(
  place: JournalPlace,
  options: Partial<JournaledOptions> = {},
  runtime: RuntimeName = ownRuntime,
  observed: ObserveOptions = {},
): Promise<Observed> {
  const { spool, journal } = place;
  const collector = observe(runtime, "tests/testdata/journaled-collector.ts", [
    JSON.stringify({ paths: [place.files], spool, journal, ...options }),
  ], observed);
  await collector.wrote(/ready/);
  return collector;
}

/** A program that records. */
export interface Load {
  readonly name: string;
  readonly temporality: "cumulative" | "delta";
  readonly program: Program;
  /** Tells it something, and hears how much it has recorded. */
  ask(command: Record<string, unknown>): Promise<Recorded>;
  /** Ends all but some spans, and kills it. */
  kill(open: number): Promise<Recorded>;
}

/** Starts one, which records nothing yet. */
export async function startLoad(
  { files }: JournalPlace,
  name: string,
  temporality: "cumulative" | "delta" = "cumulative",
  ...more: string[]
): Promise<Load> {
  const program = await startProgram("journal-load.ts", files, name, temporality, ...more);
  const ask = (command: Record<string, unknown>): Promise<Recorded> =>
    program.ask<Recorded>(command);
  return {
    name,
    temporality,
    program,
    ask,
    async kill(open) {
      await ask({ stop: true });
      const recorded = await ask({ leave: open });
      await program.stop("kill");
      return recorded;
    },
  };
}

/** Waits until every file of a place is read to its end and removed. */
export async function untilDone({ files }: JournalPlace): Promise<void> {
  const left = (): string[] => readdirSync(files).filter((name) => !/^\./.test(name));
  await until("all files are done", () => left().length === 0, { state: left });
}

/** Does nothing for a while. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
