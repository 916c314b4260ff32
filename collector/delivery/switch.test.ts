import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ExportTraceServiceRequestSchema } from "../../proto/gen/otlp_pb.ts";
import { createSender, type Sender } from "../send/send.ts";
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

/** A backend; `answer` says what it does with the spans of a request. */
async function backend(
  answer: (names: string[], response: ServerResponse) => void,
): Promise<{ sender: Sender; close(): void }> {
  const server = createServer((incoming, response) => {
    const chunks: Uint8Array[] = [];
    incoming.on("data", (chunk: Uint8Array) => chunks.push(chunk));
    incoming.on("end", () => answer(namesOf(new Uint8Array(Buffer.concat(chunks))), response));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}/v1/traces`;
  return {
    sender: createSender({ url, signal: "traces", log: () => {} }),
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
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
    const sink = createSwitch(old.sender);
    try {
      const answer = sink.send(eight, 8);
      await waiting;
      await sink.replace(next.sender);
      assert.deepEqual(await answer, { accepted: 8, rejected: 0, dropped: 0 });
      assert.deepEqual(first, ["span 0", "span 1", "span 2", "span 3"]);
      assert.deepEqual(second, ["span 4", "span 5", "span 6", "span 7"]);
    } finally {
      await sink.close();
      old.close();
      next.close();
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
    const sink = createSwitch(old.sender);
    try {
      const answer = sink.send(eight, 8);
      const response = await request;
      const replaced = sink.replace(next.sender);
      setImmediate(() => response.writeHead(200).end());
      await replaced;
      assert.deepEqual(await answer, { accepted: 8, rejected: 0, dropped: 0 });
      assert.deepEqual(second, []);
    } finally {
      await sink.close();
      old.close();
      next.close();
    }
  });
});
