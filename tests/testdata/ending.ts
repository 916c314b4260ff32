/** Records spans and comes to an end without warning: HOW DIRECTORY JOURNAL. */
import process from "node:process";
import { trace } from "@opentelemetry/api";
import { start } from "../../lib/sdk/start.ts";
import { Journal } from "../support/journal.ts";

const [how, directory, journalPath] = process.argv.slice(2);
const sdk = start({ env: {}, directory });
if (!sdk.recording) throw new Error(sdk.reason);
const journal = Journal.open(journalPath);
const tracer = trace.getTracer("ending");

function recordOne(number: number): void {
  journal.entering(number);
  const span = tracer.startSpan(`span ${number}`, { attributes: { number } });
  span.addEvent("event", { number });
  span.setAttribute("late", number);
  span.end();
  journal.returnedFrom(number);
}

tracer.startActiveSpan("outer", { attributes: { open: true } }, () => {
  const inner = tracer.startSpan("inner");
  inner.setAttribute("late", 1);
  inner.addEvent("event");
});
const SPANS = 500;

const ends: Record<string, () => void> = {
  "exit": () => {
    for (let i = 0; i < SPANS; i++) recordOne(i);
    process.exit(3);
  },
  "throw": () => {
    for (let i = 0; i < SPANS; i++) recordOne(i);
    throw new Error("nobody catches this");
  },
  "reject": () => {
    setInterval(() => {}, 1000);
    for (let i = 0; i < SPANS; i++) recordOne(i);
    void Promise.reject(new Error("nobody handles this"));
  },
  "terminate": () => {
    for (let i = 0; i < SPANS; i++) recordOne(i);
    process.kill(process.pid, "SIGTERM");
    for (;;);
  },
  "exhaust": () => {
    const kept: unknown[] = [];
    for (let number = 0;; number++) {
      // Room for two records of each span and more: the memory is at an end long before the ring.
      recordOne(number);
      for (let i = 0; i < 200; i++) kept.push(new Array(1000).fill({ number, i }));
    }
  },
};
ends[how]();
