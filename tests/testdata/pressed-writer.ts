/**
 * Records a span with an event, a log record and a measurement in each call, as fast as it is read, and
 * ends the span of `OPEN_CALLS` calls before: DIRECTORY JOURNAL NAME. It lives until it is killed.
 */
import process from "node:process";
import { metrics, ROOT_CONTEXT, type Span, trace } from "@opentelemetry/api";
import { logs } from "@opentelemetry/api-logs";
import { AlwaysOnSampler } from "../../lib/sdk/sampler.ts";
import { start } from "../../lib/sdk/start.ts";
import { Journal } from "../support/journal.ts";
import { OPEN_CALLS } from "../support/pressed.ts";
import { watchRoom } from "../support/room.ts";

const [directory, journalPath, name] = process.argv.slice(2);
const sdk = start({
  env: {},
  directory,
  resource: { writer: name },
  sampler: new AlwaysOnSampler(),
  sizes: {
    spans: { slots: 2048, slotBytes: 256 },
    events: { slots: 1024, slotBytes: 256 },
    measurements: { slots: 1024, slotBytes: 256 },
  },
});
if (!sdk.recording) throw new Error(sdk.reason);
const journal = Journal.open(journalPath);
const tracer = trace.getTracer("pressed");
const logger = logs.getLogger("pressed");
const counter = metrics.getMeter("pressed").createCounter("calls");
const open: Span[] = [];
// With what open spans keep for their ends.
const hasRoom = watchRoom(() => sdk.path!, 4 * OPEN_CALLS);

let call = 0;
function record(): void {
  journal.entering(call);
  const span = tracer.startSpan(`${call}`);
  span.addEvent("event", { call });
  logger.emit({ body: `${call}`, context: trace.setSpan(ROOT_CONTEXT, span) });
  counter.add(1);
  open.push(span);
  if (open.length > OPEN_CALLS) {
    const number = call - OPEN_CALLS;
    open.shift()!.setAttribute(`key ${number}`, number).end();
  }
  journal.returnedFrom(call++);
}

record();
setInterval(() => {
  for (let i = 0; i < 4 && hasRoom(); i++) record();
}, 2);
// Nobody is left behind when the test is.
process.stdin.resume().once("end", () => process.exit(1));
