/**
 * Producers that share a file claim room in its dictionary first and fill it then: one that is stopped in
 * between, while others go on, costs no name that its records have later.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { until } from "../collector/testing/run.ts";
import type { FileWriter } from "../lib/file/write.ts";
import { DICTIONARY_END, DICTIONARY_NUM_ENTRIES, HEADER_DICTIONARY } from "../lib/format/layout.ts";
import { Writer } from "../lib/writer.ts";
import { plainAttributes } from "./support/collector.ts";
import { places, startJournaled, untilDone } from "./support/journaled.ts";
import { takeStored } from "./support/stored.ts";

const newPlace = places("shared-dictionary");

/** Claims room for a name as another producer does; what is returned fills it. */
function claim(writer: Writer, name: string): () => void {
  const { dictionary, mapping: { i64, u8 } } = (writer as unknown as { file: FileWriter }).file;
  const start = Number(i64[HEADER_DICTIONARY / 8]);
  const text = new TextEncoder().encode(name);
  const ref = Number(Atomics.add(i64, (start + DICTIONARY_END) / 8, BigInt(1 + text.length)));
  return () => {
    u8.set([text.length, ...text], ref);
    Atomics.add(i64, (start + DICTIONARY_NUM_ENTRIES) / 8, 1n);
    (dictionary as unknown as { strings: Map<string, number> }).strings.set(name, ref);
  };
}

describe("a collector that is killed after it has read a shared dictionary", () => {
  it("knows what was claimed before and filled after it had written that down", {
    timeout: 60_000,
  }, async () => {
    const place = newPlace();
    const owner = Writer.create(join(place.files, "shared.otlp"), { producers: "many" });
    const stopped = Writer.join(owner.path);
    const taken = (): Promise<void> => until("all is given back", () => owner.drained);
    const first = await startJournaled(place);
    const scopes = [owner, stopped].map((writer) => writer.scope({ name: "shared" }));
    const fills = ["a name", "a key"].map((text) => claim(stopped, text));
    scopes[0].startSpan("another name").end();
    await taken();
    for (const fill of fills) fill();
    scopes[1].startSpan("a name", { attributes: { "a key": "a value" } });
    await taken();
    await first.stop("SIGKILL");
    const last = await startJournaled(place);
    stopped.close();
    owner.close();
    await untilDone(place);
    assert.deepEqual(await last.stop(), { code: 0, signal: null }, last.text());
    const [another, span] = takeStored(place.spool).spans;
    assert.equal(another.span.name, "another name");
    assert.equal(span.span.name, "a name");
    assert.equal(plainAttributes(span.span.attributes)["a key"], "a value");
  });
});
