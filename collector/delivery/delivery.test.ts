import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { createDelivery } from "./delivery.ts";
import { addCollect, type CollectOptions } from "../options/options.ts";
import { parseWith } from "../program.ts";
import type { Sink } from "../pipeline/queue.ts";

const root = mkdtempSync(join(tmpdir(), "otlp-mmap-delivery-"));
after(() => rmSync(root, { recursive: true }));

function optionsOf(yaml: string): CollectOptions {
  const path = join(root, "c.yaml");
  writeFileSync(path, yaml);
  let options: CollectOptions | undefined;
  parseWith(["collect", "--config", path], (program) =>
    addCollect(program, {}, (read) => {
      options = read;
    }));
  return options!;
}

const sink: Sink = {
  send: (_body, items) => Promise.resolve({ accepted: items, rejected: 0, dropped: 0 }),
  abort: () => {},
  close: () => Promise.resolve(),
};
const sinks = { traces: sink, metrics: sink, logs: sink };

describe("a delivery", () => {
  it("says what differs from the start and cannot change, for as long as it does", async () => {
    const delivery = createDelivery(optionsOf("collect: {batch_size: 7}\n"), () => sinks);
    const changed = optionsOf("collect: {batch_size: 8, self_metrics: true, prometheus: ':1'}\n");
    const left = ["batch_size", "prometheus", "self_metrics"];
    assert.deepEqual(await delivery.reload(changed), left);
    assert.deepEqual(await delivery.reload(changed), left);
    assert.deepEqual(await delivery.reload(optionsOf("collect: {batch_size: 7}\n")), []);
  });

  it("tries for as long as it was started to", async () => {
    const times: number[] = [];
    const delivery = createDelivery(optionsOf(""), ({ giveUpAfterMs }) => {
      times.push(giveUpAfterMs);
      return sinks;
    });
    const next = optionsOf("collect: {once: true, endpoint: 'http://localhost:1'}\n");
    assert.deepEqual(await delivery.reload(next), ["once", "store", "ui"]);
    assert.deepEqual(times, Array(2).fill(Infinity));
  });

  it("keeps everything where what is new can't be used", async () => {
    const before = optionsOf("");
    const delivery = createDelivery(before, ({ destinations }) => {
      if (destinations !== null) throw new Error("no such place");
      return sinks;
    });
    const next = optionsOf("collect: {endpoint: 'http://localhost:1'}\n");
    await assert.rejects(delivery.reload(next), /no such place/);
    assert.equal(delivery.options, before);
  });
});
