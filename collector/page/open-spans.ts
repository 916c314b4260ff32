/**
 * Spans that began and have not ended, from the collector's memory.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { fromBinary } from "@bufbuild/protobuf";
import {
  BLOCK,
  FLAG_ENDED,
  FLAGS,
  LENGTH,
  NEXT,
  NONE,
  PROCESS,
  SpanTable,
  TRACE,
} from "../../lib/otlp/spans.ts";
import { SpanSchema } from "../../proto/gen/otlp_pb.ts";
import type { FollowedProcess } from "../files/follow.ts";
import { nameOf } from "../files/names.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { Attribute } from "../store/queries/types.ts";
import { hex, KINDS, STATUSES, toDetails } from "../store/read/spans.ts";
import { DECODING } from "../send/decoding.ts";
import type { OpenSpan } from "./live-types.ts";
import type { ResourceIds } from "./resource-ids.ts";

/**
 * The open spans, newest first, at most `limit`.
 *
 * @param traceId Only of this trace.
 */
export async function openSpans(
  { files, requests }: Pipeline,
  ids: ResourceIds,
  limit: number,
  traceId?: string,
): Promise<OpenSpan[]> {
  const { table } = requests.assembler;
  const processes = new Map<number, FollowedProcess>();
  for (const process of files.processes.values()) processes.set(process.state.index, process);
  await ids.learn(
    [...processes.values()].filter(({ state }) => state.scopes.firstResource !== null).map(nameOf),
  );
  const { meta } = table;
  const indexes: number[] = [];
  for (let index = table.oldest; index !== NONE; index = meta[SpanTable.base(index) + NEXT]) {
    if ((meta[SpanTable.base(index) + FLAGS] & FLAG_ENDED) === 0) indexes.push(index);
  }
  const spans: OpenSpan[] = [];
  const wanted = traceId === undefined
    ? null
    : new Int32Array(new Uint8Array(Buffer.from(traceId, "hex")).buffer);
  for (let i = indexes.length - 1; i >= 0 && spans.length < limit; i--) {
    const base = SpanTable.base(indexes[i]);
    if (wanted?.some((word, at) => meta[base + TRACE + at] !== word)) continue;
    const process = processes.get(meta[base + PROCESS]);
    const span = process === undefined ? null : decode(table, indexes[i], process, ids);
    if (span !== null) spans.push(span);
  }
  return spans;
}

function decode(
  { arena, meta }: SpanTable,
  index: number,
  process: FollowedProcess,
  ids: ResourceIds,
): OpenSpan | null {
  const base = SpanTable.base(index);
  const block = meta[base + BLOCK];
  const bytes = arena.bytes.u8.slice(block, block + meta[base + LENGTH]);
  try {
    const message = fromBinary(SpanSchema, bytes, DECODING);
    const name = nameOf(process);
    const details = toDetails(message);
    return {
      traceId: hex(message.traceId),
      spanId: hex(message.spanId),
      parentSpanId: hex(message.parentSpanId),
      name: message.name,
      service: name.service,
      kind: KINDS[message.kind] ?? "unspecified",
      status: STATUSES[message.status?.code ?? 0] ?? "unset",
      startNs: String(message.startTimeUnixNano),
      interrupted: false,
      resourceId: ids.of(name),
      ...details,
      attributes: lastOfEach(details.attributes),
    };
  } catch {
    // It is not complete: a span whose start is yet to come.
    return null;
  }
}

/** What was set again wins; it is put in order when the span ends. */
function lastOfEach(attributes: readonly Attribute[]): Attribute[] {
  return [...new Map(attributes.map((attribute) => [attribute.key, attribute])).values()];
}
