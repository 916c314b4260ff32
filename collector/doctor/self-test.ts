/**
 * Writes a file as an application does and reads it as a collector does.
 *
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Reader, type ReadRecord } from "../../lib/reader.ts";
import { start } from "../../lib/sdk/start.ts";
import { printable } from "../text/text.ts";
import { bad, type Check, ok } from "./check.ts";

const VALUE = 'żółć 🚲 "\\';

/** A span, a log record and a measurement there and back. */
export async function checkSelf(directory: string = tmpdir()): Promise<Check> {
  const name = "self-test";
  let folder: string;
  try {
    folder = mkdtempSync(join(directory, "otlp-mmap-doctor-"));
  } catch (error) {
    return bad(
      name,
      `no temporary directory can be made: ${printable((error as Error).message)}; set TMPDIR to ` +
        "one that can be written",
    );
  }
  try {
    const different = await roundTrip(join(folder, "self.otlp"));
    return different === undefined
      ? ok(name, `a span, a log record and a measurement were written and read in ${directory}`)
      : bad(name, `${different}: report this, with the output of this command`);
  } catch (error) {
    return bad(name, printable((error as Error).message));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Says what came back differently; undefined when nothing did. */
async function roundTrip(file: string): Promise<string | undefined> {
  const sdk = start({ env: { OTEL_NODE_RESOURCE_DETECTORS: "none" }, file });
  try {
    if (!sdk.recording) throw new Error(sdk.reason);
    const reader = Reader.open(sdk.path!);
    try {
      const attributes = { key: VALUE };
      sdk.tracerProvider!.getTracer("doctor").startSpan("span", { attributes }).end();
      sdk.loggerProvider!.getLogger("doctor").emit({ body: VALUE, attributes });
      sdk.meterProvider!.getMeter("doctor").createCounter("counter").add(7, attributes);
      const read = reader.poll().map(describe);
      reader.release();
      const wanted = [`start span ${VALUE}`, "end", `log ${VALUE} ${VALUE}`, `counter 7 ${VALUE}`];
      if (JSON.stringify(read) !== JSON.stringify(wanted)) {
        return `${JSON.stringify(wanted)} came back as ${JSON.stringify(read)}`;
      }
      if (!await sdk.forceFlush({ timeout: 1000 })) return "the writer did not see it read";
      return undefined;
    } finally {
      reader.close();
    }
  } finally {
    await sdk.shutdown();
  }
}

function describe(record: ReadRecord): string {
  if ("unreadable" in record) return `unreadable: ${record.unreadable}`;
  switch (record.ring) {
    case "spans": {
      const { change } = record;
      return change.what === "start"
        ? `start ${change.name} ${change.attributes.key}`
        : change.what;
    }
    case "events":
      return `log ${record.body} ${record.attributes.key}`;
    case "measurements":
      return `${record.metric} ${record.value} ${record.attributes.key}`;
  }
}
