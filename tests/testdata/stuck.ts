/** The owner of files in whose writes something goes wrong, told what to do a line at a time. */
import { spawn } from "node:child_process";
import process from "node:process";
import { Worker } from "node:worker_threads";
import { Writer } from "../../lib/writer.ts";
import { answerCommands } from "../support/programs.ts";
import { stopSelf, watch } from "../support/stores.ts";

type Producers = "one" | "many";
const SIZES = {
  spans: { slots: 16_384, slotBytes: 256 },
  events: { slots: 16_384, slotBytes: 256 },
};

// Before any file is mapped.
watch(null);
const kept: Writer[] = [];

const commands: { [op: string]: (command: never) => unknown } = {
  /** A Worker is terminated in the middle of a write. */
  async terminate({ path, producers, step }: { path: string; producers: Producers; step: string }) {
    const stuck = new Int32Array(new SharedArrayBuffer(4));
    const worker = new Worker(new URL("./stuck-worker.ts", import.meta.url), {
      workerData: { path, producers, step, stuck },
    });
    const failed = new Promise((_, reject) => worker.once("error", reject));
    failed.catch(() => {});
    while (Atomics.load(stuck, 0) === 0) {
      await Promise.race([failed, new Promise((resolve) => setTimeout(resolve, 5))]);
    }
    await worker.terminate();
  },

  /** Writes whole spans: to a file of its own, or to one that others write as well. */
  write({ path, join, spans }: { path: string; join: boolean; spans: number }) {
    const writer = join ? Writer.join(path) : Writer.create(path, SIZES);
    kept.push(writer);
    const scope = writer.scope({ name: "other" });
    for (let i = 0; i < spans; i++) scope.startSpan("other").end();
  },

  /** Is stopped by SIGSTOP after a step of the second span's end, and ends it when it goes on. */
  stop({ path, step }: { path: string; step: string }) {
    const writer = Writer.create(path, SIZES);
    kept.push(writer);
    const scope = writer.scope({ name: "stopped" });
    const [first, second] = ["first", "second"].map((name) => scope.startSpan(name));
    first.addEvent("event");
    first.end();
    watch((name) => {
      if (name !== step) return;
      watch(null);
      stopSelf();
    });
    second.end();
  },

  /** Starts a child that lives on after the owner; its process id. */
  child({ path }: { path: string }) {
    const writer = Writer.create(path, SIZES);
    kept.push(writer);
    writer.scope({ name: "parent" }).startSpan("whole").end();
    const child = spawn("sleep", ["600"], { stdio: "ignore", detached: true });
    return child.pid;
  },

  pid: () => process.pid,
};

await answerCommands((command) => commands[command.op as string](command as never));
