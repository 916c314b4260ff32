/**
 * A server in a process of its own: prints its port, then each span that ended, a line each, and
 * ends when its standard input does.
 *
 * @module
 */
import process from "node:process";
import { installGlobals, listen, record, sleep } from "./recording.ts";

installGlobals();
const recording = record();
const server = listen((request) => {
  if (request.url.endsWith("/throw")) throw new RangeError("none left");
  return new Response("from the other process");
}, recording);
console.log(server.port);
process.stdin.on("end", () => process.exit(0));
process.stdin.resume();
let printed = 0;
while (true) {
  for (const span of recording.ended().slice(printed)) {
    printed++;
    console.log(JSON.stringify({
      name: span.name,
      traceId: span.spanContext().traceId,
      parent: span.parentSpanContext,
      attributes: span.attributes,
      status: span.status,
      events: span.events.map((event) => event.name),
    }));
  }
  await sleep(5);
}
