/** An application under limits of its process, told what to do a line at a time. */
import { diag, DiagLogLevel, trace } from "@opentelemetry/api";
import { closeSync, openSync } from "node:fs";
import process from "node:process";
import { Mapping } from "../../ffi/mod.ts";
import { type Sdk, start } from "../../lib/sdk/start.ts";
import { answerCommands } from "../support/programs.ts";

const RING = { slots: 1024, slotBytes: 256 };
const SIZES = { spans: RING, events: RING, measurements: RING, dictionaryBytes: 4 << 20 };

let sdk: Sdk | undefined;
let barrier: Mapping | undefined;
const said: string[] = [];
const note = (message: string): unknown => said.push(message);
diag.setLogger(
  { error: note, warn: note, info: note, debug: note, verbose: note },
  DiagLogLevel.WARN,
);

/** What became of a start: where it records, or why it does not; and what was said. */
function started(): { path?: string; reason?: string; said: string[] } {
  return sdk!.recording
    ? { path: sdk!.path, said: said.splice(0) }
    : { reason: sdk!.reason, said: said.splice(0) };
}

const commands: { [op: string]: (command: never) => unknown } = {
  /** Starts to record at an exact path, told by the variable. */
  start({ file }: { file: string }) {
    sdk = start({ env: { SDK_MMAP_EXPORTER_FILE: file }, sizes: SIZES });
    return started();
  },

  barrier({ path }: { path: string }) {
    barrier = Mapping.open(path);
  },

  /** The same in the moment in which another process does so. */
  race({ file, round }: { file: string; round: number }) {
    Atomics.add(barrier!.i32, 0, 1);
    while (Atomics.load(barrier!.i32, 0) < 2 * round);
    sdk = start({ env: { SDK_MMAP_EXPORTER_FILE: file }, sizes: SIZES });
    return started();
  },

  /** Records spans, each with a key of its own: the dictionary grows. */
  spans({ count, name }: { count: number; name: string }) {
    const tracer = trace.getTracer("limited");
    for (let i = 0; i < count; i++) {
      tracer.startSpan(name, { attributes: { [`key ${i} ${"k".repeat(4000)}`]: i } }).end();
    }
    return said.splice(0);
  },

  async shutdown() {
    await sdk!.shutdown();
  },

  /** Opens files until no more can be, but for `left`; then starts to record. */
  crowd({ file, left }: { file: string; left: number }) {
    const open: number[] = [];
    try {
      for (;;) open.push(openSync("/dev/null", "r"));
    } catch {
      for (let i = 0; i < left; i++) closeSync(open.pop()!);
    }
    sdk = start({ env: { SDK_MMAP_EXPORTER_FILE: file }, sizes: SIZES });
    for (const fd of open) closeSync(fd);
    return started();
  },

  pid: () => process.pid,
};

await answerCommands((command) => commands[command.op as string](command as never));
