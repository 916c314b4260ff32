import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { describe, it } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ExportTraceServiceRequestSchema } from "../../proto/gen/otlp_pb.ts";
import type { Sender } from "../send/send.ts";
import { startSender } from "../testing/senders.ts";
import { startHttpBackend } from "../testing/servers.ts";
import { createSwitch } from "./switch.ts";

const eight = toBinary(
  ExportTraceServiceRequestSchema,
  create(ExportTraceServiceRequestSchema, {
    resourceSpans: [{
      scopeSpans: [{ spans: Array.from({ length: 8 }, (_, i) => ({ name: `span ${i}` })) }],
    }],
  }),
);

function namesOf(body: Uint8Array): string[] {
  return fromBinary(ExportTraceServiceRequestSchema, body).resourceSpans
    .flatMap(({ scopeSpans }) => scopeSpans).flatMap(({ spans }) => spans)
    .map(({ name }) => name);
}

/** A sender to a backend; `answer` says what that does with the spans of a request. */
async function backend(
  answer: (names: string[], response: ServerResponse) => void,
): Promise<Sender> {
  const { url } = await startHttpBackend((response, { body }) => answer(namesOf(body), response));
  return startSender(url);
}

describe("a sink that is replaced", () => {
  it("gives the next one what the first has not taken, and nothing else", async () => {
    const first: string[] = [];
    const second: string[] = [];
    let wait: () => void;
    const waiting = new Promise<void>((resolve) => wait = resolve);
    // Too large as a whole; takes the first half, and does not answer the second.
    const old = await backend((names, response) => {
      if (names.length > 4) return response.writeHead(413).end();
      if (names.includes("span 7")) return wait();
      first.push(...names);
      response.writeHead(200).end();
    });
    const next = await backend((names, response) => {
      second.push(...names);
      response.writeHead(200).end();
    });
    const sink = createSwitch(old);
    try {
      const answer = sink.send(eight, 8);
      await waiting;
      await sink.replace(next);
      assert.deepEqual(await answer, { accepted: 8, rejected: 0, dropped: 0 });
      assert.deepEqual(first, ["span 0", "span 1", "span 2", "span 3"]);
      assert.deepEqual(second, ["span 4", "span 5", "span 6", "span 7"]);
    } finally {
      await sink.close();
    }
  });

  it("lets the first one end what it is about to take", async () => {
    const second: string[] = [];
    let asked: (response: ServerResponse) => void;
    const request = new Promise<ServerResponse>((resolve) => asked = resolve);
    const old = await backend((_names, response) => asked(response));
    const next = await backend((names, response) => {
      second.push(...names);
      response.writeHead(200).end();
    });
    const sink = createSwitch(old);
    try {
      const answer = sink.send(eight, 8);
      const response = await request;
      const replaced = sink.replace(next);
      setImmediate(() => response.writeHead(200).end());
      await replaced;
      assert.deepEqual(await answer, { accepted: 8, rejected: 0, dropped: 0 });
      assert.deepEqual(second, []);
    } finally {
      await sink.close();
    }
  });
});
