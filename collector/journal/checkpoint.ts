/**
 * Checkpoints: everything that the collector holds, so that the log before is not needed any more.
 *
 * @module
 */
import type { FollowedProcess } from "../files/follow.ts";
import type { Requests } from "../pipeline/requests.ts";
import { type JournaledFile, putFile } from "./files.ts";
import {
  AGGREGATOR,
  ASSEMBLER,
  CHECKPOINTED,
  COUNTS,
  type CountsEntry,
  PROCESS,
  type ProcessEntry,
  SETTINGS,
  type SettingsEntry,
} from "./format.ts";
import { BlockBuffer } from "./write.ts";

/** What goes into a checkpoint. */
export interface Held {
  readonly settings: SettingsEntry;
  readonly requests: Requests;
  readonly processes: Iterable<FollowedProcess>;
  readonly files: Iterable<JournaledFile>;
  readonly counts: CountsEntry;
}

/** Writes a checkpoint, block by block. Nothing may be in a batch. */
export function writeCheckpoint(held: Held, put: (block: Uint8Array) => void): void {
  const { settings, requests, processes, files, counts } = held;
  const buffer = new BlockBuffer();
  const flush = (): void => {
    put(buffer.block());
    buffer.clear();
  };
  buffer.json(SETTINGS, settings);
  flush();
  for (const process of processes) {
    const { state, waiting } = process;
    // One list, as it is read again: whoever waits goes first.
    for (let i = 0; i < state.ended.length; i += 2) {
      waiting.push(state.ended.words[i], state.ended.words[i + 1]);
    }
    state.ended.length = 0;
    process.waiting = state.ended;
    state.ended = waiting;
  }
  buffer.bytesOf(ASSEMBLER, [], requests.assembler.save());
  flush();
  for (const process of processes) buffer.json(PROCESS, processEntryOf(process));
  buffer.bytesOf(AGGREGATOR, [], requests.aggregator.save());
  flush();
  for (const file of files) {
    putFile(file, buffer);
    flush();
  }
  buffer.json(COUNTS, counts);
  buffer.words(CHECKPOINTED);
  flush();
}

/** What is written of a process. */
export function processEntryOf(process: FollowedProcess): ProcessEntry {
  const { state, key, over, collectedAt } = process;
  return { index: state.index, key, over, collectedAt: String(collectedAt) };
}

/** Whether two settings are the same. */
export function isSame(settings: SettingsEntry, other: SettingsEntry): boolean {
  return JSON.stringify(settings) === JSON.stringify(other);
}
