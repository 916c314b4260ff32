/**
 * Records a span with an event, a log record and a measurement in each call, and lives until it is
 * told to end in order (SIGTERM) or killed: DIRECTORY JOURNAL NAME PAUSE CALLS. So many calls are made
 * one after the other, and PAUSE is the time from then to the next ones, ms.
 */
import process from "node:process";
import { context } from "@opentelemetry/api";
import { startWriter } from "../support/writer.ts";

const [directory, path, name, pause, calls] = process.argv.slice(2);
const { sdk, journal, tracer, logger, counter } = startWriter({
  directory,
  journal: path,
  name,
  scope: "short-lived",
  sizes: {
    spans: { slots: 2048, slotBytes: 512 },
    events: { slots: 1024, slotBytes: 512 },
    measurements: { slots: 1024, slotBytes: 512 },
  },
});

let call = 0;
function record(): void {
  journal.entering(call);
  tracer.startActiveSpan(`${call}`, (span) => {
    span.addEvent("event", { call });
    logger.emit({ body: `${call}`, context: context.active() });
    span.end();
  });
  counter.add(1);
  journal.returnedFrom(call++);
}

function turn(): void {
  for (let i = 0; i < Number(calls); i++) record();
}

turn();
const timer = setInterval(turn, Number(pause));
process.once("SIGTERM", () => {
  clearInterval(timer);
  void sdk.shutdown().then(() => process.exit());
});
// Nobody is left behind when the test is.
process.stdin.resume().once("end", () => process.exit(1));
