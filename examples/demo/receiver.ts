/**
 * A small OTLP/HTTP receiver, in place of a backend.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { decodeLogs, decodeMetrics, type DemoLog, type DemoSeries } from "./signals.ts";
import { decodeSpans, type DemoSpan } from "./traces.ts";

/** A running receiver. */
export interface Receiver {
  /** For the collector's `--endpoint`. */
  readonly endpoint: string;
  /** Every span that has arrived. */
  readonly spans: readonly DemoSpan[];
  /** Every log record that has arrived. */
  readonly logs: readonly DemoLog[];
  /** The last point of every series. */
  readonly series: ReadonlyMap<string, DemoSeries>;
}

/** Starts it on a free port. */
export async function startReceiver(): Promise<Receiver> {
  const spans: DemoSpan[] = [];
  const logs: DemoLog[] = [];
  const series = new Map<string, DemoSeries>();
  const take = (path: string, body: Uint8Array): void => {
    if (path === "/v1/traces") spans.push(...decodeSpans(body));
    else if (path === "/v1/logs") logs.push(...decodeLogs(body));
    else {
      // Counters and histograms are cumulative: the last point says it all.
      for (const each of decodeMetrics(body)) {
        series.set(`${each.service} ${each.name} ${each.attributes}`, each);
      }
    }
  };
  const server = createServer((request, response) => {
    const parts: Uint8Array[] = [];
    request.on("data", (part: Uint8Array) => parts.push(part));
    request.on("end", () => {
      let status = 200;
      try {
        take(request.url ?? "", Buffer.concat(parts));
      } catch {
        status = 400; // the collector says what it was told
      }
      response.writeHead(status, { "content-type": "application/x-protobuf" }).end();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    logs,
    series,
  };
}
