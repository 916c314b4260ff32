/**
 * Records a span with an event, a log record and a measurement in each call, as fast as it is read, and
 * ends the span of `OPEN_CALLS` calls before: DIRECTORY JOURNAL NAME. It lives until it is killed.
 */
import process from "node:process";
import { ROOT_CONTEXT, type Span, trace } from "@opentelemetry/api";
import { OPEN_CALLS } from "../support/pressed.ts";
import { watchRoom } from "../support/room.ts";
import { startWriter } from "../support/writer.ts";

const [directory, path, name] = process.argv.slice(2);
const { sdk, journal, tracer, logger, counter } = startWriter({
  directory,
  journal: path,
  name,
  scope: "pressed",
  sizes: {
    spans: { slots: 2048, slotBytes: 256 },
    events: { slots: 1024, slotBytes: 256 },
    measurements: { slots: 1024, slotBytes: 256 },
  },
});
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
