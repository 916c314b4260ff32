/**
 * A collector that only serves the page, over made-up data: for looking at it, for tests of the page
 * alone and for measuring how it scrolls.
 *
 *     deno run -A collector/page/testing/fake.ts [PORT]
 *
 * @module
 */
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import type { Log } from "../../store/queries/types.ts";
import { assets } from "../gen/assets.ts";
import { answer } from "./answers.ts";
import { type Data, makeData } from "./data.ts";

/** Nothing but this server, and nothing written into the page. */
export const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
  "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** A running server. */
export interface Fake {
  readonly url: string;
  readonly data: Data;
  /** Adds a log record and tells the page. */
  log(text: string): void;
  close(): Promise<void>;
}

/** Starts on a free port, or on the given one. */
export async function startFake(data: Data, port = 0): Promise<Fake> {
  const listeners = new Set<ServerResponse>();
  const send = (response: ServerResponse, event: string, what: unknown): void => {
    response.write(`event: ${event}\ndata: ${JSON.stringify(what)}\n\n`);
  };
  const news = (): unknown => ({
    lastSpan: data.spans.length - 1,
    lastLog: data.logs.length - 1,
    points: 40_000,
  });
  const server: Server = createServer((request, response) => {
    const url = new URL(request.url!, "http://fake");
    response.setHeader("content-security-policy", POLICY);
    response.setHeader("x-content-type-options", "nosniff");
    if (url.pathname === "/api/events") {
      response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
      send(response, "news", news());
      send(response, "live", { processes: data.processes });
      listeners.add(response);
      response.on("close", () => listeners.delete(response));
      return;
    }
    const asset = assets.get(url.pathname);
    if (asset) {
      response.writeHead(200, { "content-type": asset.type }).end(asset.text);
      return;
    }
    const found = answer(data, url.pathname, url.searchParams);
    response.writeHead(found === undefined ? 404 : 200, { "content-type": "application/json" });
    response.end(JSON.stringify(found ?? { error: "not found" }));
  });
  const timer = setInterval(() => {
    for (const listener of listeners) send(listener, "live", { processes: data.processes });
  }, 1000);
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    data,
    log(text) {
      const now = String(BigInt(Date.now()) * 1_000_000n);
      const like = data.logs[0]!;
      const log: Log = {
        ...like,
        id: data.logs.length,
        timeNs: now,
        observedNs: now,
        body: { stringValue: text },
      };
      data.logs.push(log);
      for (const listener of listeners) send(listener, "news", news());
    },
    async close() {
      clearInterval(timer);
      for (const listener of listeners) listener.end();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

if (import.meta.main) {
  const data = makeData({ seed: 1, nowMs: Date.now() });
  const fake = await startFake(data, Number(process.argv[2] ?? 0));
  console.log(`${fake.url}/
  ${fake.url}/#/traces/${data.big}
  ${fake.url}/#/traces/${data.interrupted}
  ${fake.url}/#/traces/${data.hostile}
  ${fake.url}/#/traces/${data.growing}
  ${fake.url}/#/crashes/${data.crashed}`);
}
