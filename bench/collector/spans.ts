/**
 * Keeps a spans ring full: spans with five attributes, a late one and an end.
 *
 * @module
 */
import process from "node:process";
import { join } from "node:path";
import { Writer } from "../../lib/writer.ts";
import { fill, wait } from "./fill.ts";

const [directory, total] = process.argv.slice(2);
const writer = Writer.create(join(directory, "spans.otlp"), {
  resource: { "service.name": "bench" },
  spans: { slots: 16_384, slotBytes: 512 },
});
const scope = writer.scope({ name: "bench", version: "1.0.0" });

const options = {
  kind: "server",
  attributes: {
    "http.request.method": "GET",
    "url.path": "/items/12345",
    "http.response.status_code": 200,
    "server.address": "localhost",
    "user.id": "user-12345",
  },
} as const;

await fill(Number(total), (count) => {
  for (let i = 0; i < count; i++) {
    let span = scope.startSpan("GET /items/{id}", options);
    while (span.started !== "written") {
      wait();
      span = scope.startSpan("GET /items/{id}", options);
    }
    while (span.setAttributes({ "cache.hit": "late value" }) === "ring_full") wait();
    while (span.end() === "ring_full") wait();
  }
  while (!writer.drained) wait();
});
writer.close();
