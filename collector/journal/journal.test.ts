import assert from "node:assert/strict";
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import type { Recorder } from "../../lib/sdk/recorder.ts";
import { start } from "../../lib/sdk/start.ts";
import { accept, folders, run, TestSink, until } from "../testing/run.ts";
import { openJournal } from "./journal.ts";

const folder = folders("journal");

it("does not take new requests for stored ones where it lost its end, and the spool did not", {
  timeout: 60_000,
}, async () => {
  const directory = folder();
  const [files, place, copy] = ["files", "journal", "copy"].map((name) => join(directory, name));
  const sdk = start({ env: {}, directory: files });
  const { settings } = sdk.tracerProvider as unknown as { settings: { recorder: Recorder } };
  const file = settings.recorder.file!;
  const logger = sdk.loggerProvider!.getLogger("journal");
  let lastMark: Uint8Array | null = null;

  /** One run of a collector, which takes so many log records; returns those that its spool got. */
  async function collect(count: number, isStored = true): Promise<string[]> {
    const sink = new TestSink();
    // Otherwise until it is given up, at the end.
    sink.answer = (items) => isStored ? accept(items) : new Promise(() => {});
    const { send } = sink.sinks.logs;
    sink.sinks.logs.send = async (body, items, mark) => {
      const outcome = await send(body, items);
      if (outcome.gaveUp !== true) lastMark = mark!;
      return outcome;
    };
    const journal = openJournal({
      directory: place,
      lastMark: (signal) => signal === "logs" ? lastMark : null,
      syncStored: () => {},
      log: () => {},
    });
    const { pipeline, ended } = run([files], { journal }, sink);
    for (let i = 0; i < count; i++) logger.emit({ body: `${count} ${i}` });
    const isAnswered = (): boolean => !isStored || pipeline.remaining === 0;
    await until("all is taken", () => pipeline.looking && file.drained && isAnswered());
    pipeline.stop();
    await ended;
    return sink.bodies;
  }

  try {
    assert.equal((await collect(5)).length, 5);
    cpSync(place, copy, { recursive: true });
    assert.equal((await collect(6)).length, 6);
    // As after a loss of power.
    rmSync(place, { recursive: true });
    cpSync(copy, place, { recursive: true });
    // It ends with these in the journal alone.
    assert.deepEqual(await collect(3, false), []);
    assert.deepEqual(await collect(0), ["3 0", "3 1", "3 2"]);
  } finally {
    await sdk.shutdown();
  }
});
