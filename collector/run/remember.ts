/**
 * What is kept of a program while it runs, for the case that it crashes: the spans that had no end
 * when it ended, its last log records, what was lost.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { fromBinary } from "@bufbuild/protobuf";
import { readLoss } from "../../lib/file/extension.ts";
import { LOSS_NAMES, LOSS_TRUNCATED, RING_NAMES } from "../../lib/format/layout.ts";
import { INTERRUPTED } from "../../lib/otlp/marks.ts";
import type { Signal } from "../../lib/otlp/request.ts";
import { ExportTraceServiceRequestSchema, type Span } from "../../proto/gen/otlp_pb.ts";
import type { FollowedFile } from "../files/follow.ts";
import { formatLogs } from "../print/logs.ts";
import { type PrintStyle, serviceName } from "../print/values.ts";
import type { Sink } from "../pipeline/queue.ts";
import { DECODING } from "../send/decoding.ts";

/** Open spans that are kept; more are counted. */
const MAX_OPEN = 1_000;
/** Log records of the report. */
export const LAST_LOGS = 10;

/** A span without an end. */
export interface OpenSpan {
  readonly service: string;
  readonly span: Span;
}

/** What is known of a program that ended. */
export class Memory {
  readonly open: OpenSpan[] = [];
  /** Open spans beyond those that are kept. */
  moreOpen = 0;
  /** Records that were refused, by what to call them. */
  readonly refused = new Map<string, number>();
  /** Files that it wrote. */
  files = 0;
  private logs: { readonly body: Uint8Array; readonly items: number }[] = [];

  /** Looks at each request on its way to a sink. */
  watch(signal: Signal, sink: Sink): Sink {
    return {
      send: (body, items) => {
        if (signal === "traces") this.noteSpans(body);
        else if (signal === "logs") this.noteLogs(body, items);
        return sink.send(body, items);
      },
      abort: (reason) => sink.abort(reason),
      close: () => sink.close(),
    };
  }

  /** Takes the loss counters of a file. */
  noteFile(file: FollowedFile): void {
    this.files++;
    if (file.extension === null) return;
    RING_NAMES.forEach((ring, i) => {
      LOSS_NAMES.forEach((reason, j) => {
        const count = readLoss(file.file, i, j);
        if (count === 0) return;
        const what = `records of the ${ring} ring ${
          j === LOSS_TRUNCATED ? "cut to their slots" : `refused (${reason})`
        }`;
        this.refused.set(what, (this.refused.get(what) ?? 0) + count);
      });
    });
  }

  /** The last log records, a line each. */
  lastLogs(style: PrintStyle): string[] {
    const lines = this.logs.map(({ body }) => formatLogs(body, style)).join("").split("\n");
    return lines.slice(0, -1).slice(-LAST_LOGS);
  }

  private noteSpans(body: Uint8Array): void {
    // Taking apart every span that ended would cost more than all else of the collector.
    if (!view(body).includes(view(INTERRUPTED))) return;
    const request = fromBinary(ExportTraceServiceRequestSchema, body, DECODING);
    for (const { resource, scopeSpans } of request.resourceSpans) {
      const service = serviceName(resource?.attributes);
      for (const span of scopeSpans.flatMap(({ spans }) => spans)) {
        if (!span.attributes.some(({ key }) => key === INTERRUPTED_KEY)) continue;
        if (this.open.length < MAX_OPEN) this.open.push({ service, span });
        else this.moreOpen++;
      }
    }
  }

  /** Keeps the last requests, as many as hold the records that are wanted. */
  private noteLogs(body: Uint8Array, items: number): void {
    this.logs.push({ body: new Uint8Array(body), items });
    let later = this.logs.reduce((sum, request) => sum + request.items, 0);
    while (later - this.logs[0].items >= LAST_LOGS) later -= this.logs.shift()!.items;
  }
}

/** The attribute that the collector adds to a span whose end was not recorded. */
export const INTERRUPTED_KEY = "otlp_mmap.interrupted";

function view(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Takes everything, for a program whose telemetry goes nowhere else. */
export const nowhere: Sink = {
  send: (_body, items) => Promise.resolve({ accepted: items, rejected: 0, dropped: 0 }),
  abort(): void {},
  close: () => Promise.resolve(),
};
