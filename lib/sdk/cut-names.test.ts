import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { inspect } from "../../collector/inspect/inspect.ts";
import type { RingSize } from "../file/write.ts";
import { type Sdk, start } from "./start.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-cut-names-"));
after(() => rmSync(directory, { recursive: true }));

let files = 0;

/** Records of which parts were cut off, by ring, as `inspect` shows them. */
async function cut(slotBytes: number | undefined, record: (sdk: Sdk) => void) {
  const file = join(directory, `${++files}.otlp`);
  const ring: Partial<RingSize> = slotBytes === undefined ? {} : { slotBytes };
  const sdk = start({
    env: { OTEL_NODE_RESOURCE_DETECTORS: "none" },
    file,
    sizes: { spans: ring, events: ring, measurements: ring },
  });
  assert.equal(sdk.reason, undefined);
  record(sdk);
  const { facts } = inspect(sdk.path!);
  await sdk.shutdown();
  return facts!.losses.map(({ ring, reason, records }) => `${records} ${reason} ${ring}`);
}

const tracer = (sdk: Sdk) => sdk.tracerProvider!.getTracer("cut-names");
const logger = (sdk: Sdk) => sdk.loggerProvider!.getLogger("cut-names");

describe("what is too long is counted as cut", () => {
  /** What is recorded with a text, and the ring of its record. */
  const ways: [what: string, ring: string, record: (sdk: Sdk, text: string) => void][] = [
    ["a span's name", "spans", (sdk, text) => void tracer(sdk).startSpan(text)],
    [
      "a span's later name",
      "spans",
      (sdk, text) => void tracer(sdk).startSpan("n").updateName(text),
    ],
    [
      "a status message",
      "spans",
      (sdk, text) => tracer(sdk).startSpan("n").setStatus({ code: 2, message: text }).end(),
    ],
    ["an event's name", "events", (sdk, text) => void tracer(sdk).startSpan("n").addEvent(text)],
    ["a log record's body", "events", (sdk, text) => logger(sdk).emit({ body: text })],
    ["a log record's event name", "events", (sdk, text) => logger(sdk).emit({ eventName: text })],
  ];
  for (const [what, ring, record] of ways) {
    it(what, async () => {
      assert.deepEqual(await cut(undefined, (sdk) => record(sdk, "n".repeat(200))), []);
      const long = "n".repeat(5000);
      assert.deepEqual(await cut(undefined, (sdk) => record(sdk, long)), [`1 truncated ${ring}`]);
      assert.deepEqual(await cut(16_384, (sdk) => record(sdk, "n".repeat(900))), []);
      // The name of an event is in the dictionary.
      if (/event('s)? name/.test(what)) return;
      assert.deepEqual(
        await cut(256, (sdk) => record(sdk, "n".repeat(250))),
        [`1 truncated ${ring}`],
        "by a small slot",
      );
    });
  }
});
