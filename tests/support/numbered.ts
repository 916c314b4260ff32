/**
 * Spans that say which they are and carry a checksum, and a reader that misses none, takes none
 * twice and sees when one is torn.
 *
 * @module
 */
import { crc32 } from "node:zlib";
import { fromBinary } from "@bufbuild/protobuf";
import { Mapping } from "../../ffi/mod.ts";
import { readGeometry } from "../../lib/file/geometry.ts";
import { RING_SPANS } from "../../lib/format/layout.ts";
import {
  advance,
  claimedAhead,
  copyRecord,
  createCopy,
  isReady,
  openRing,
  type RecordCopy,
  release,
  type RingReader,
} from "../../lib/ring/read.ts";
import type { ScopeWriter, WriteResult } from "../../lib/writer.ts";
import { type SpanEvent, SpanEventSchema } from "../../proto/gen/mmap_pb.ts";

/** Records of a numbered span: its start and its end. */
export const RECORDS_PER_SPAN = 2;

/** Text of 0 to 210 bytes, from every width of UTF-8. */
function textOf(producer: number, number: number): string {
  return "aé€𝄞".repeat(number % 22) + producer;
}

/** Writes span `number` of `producer`; another result than "written" leaves nothing behind. */
export function writeNumbered(scope: ScopeWriter, producer: number, number: number): WriteResult {
  const ids = new Uint8Array(24);
  const view = new DataView(ids.buffer);
  view.setUint32(0, producer + 1);
  view.setUint32(12, number);
  view.setUint32(16, producer + 1);
  view.setUint32(20, number);
  const text = textOf(producer, number);
  const checksum = crc32(`${producer}/${number}/${text}`);
  const span = scope.startSpan(`span ${number}`, {
    traceId: ids.subarray(0, 16),
    spanId: ids.subarray(16),
    time: BigInt(number),
    attributes: { text, checksum },
  });
  if (span.started !== "written") return span.started;
  // Its place is kept; with many producers others may have taken it.
  for (;;) {
    const result = span.end({
      time: BigInt(number) + 1n,
      status: { code: "error", message: `${checksum} ${text}` },
    });
    if (result !== "ring_full") return result;
  }
}

/** Writes spans 0 to `count` - 1, waiting in between where the ring is full. */
export async function writeAllNumbered(
  scope: ScopeWriter,
  producer: number,
  count: number,
): Promise<void> {
  for (let number = 0; number < count;) {
    const result = writeNumbered(scope, producer, number);
    if (result === "written") number++;
    else if (result === "ring_full") await new Promise((resolve) => setTimeout(resolve, 0));
    else throw new Error(`producer ${producer}, span ${number}: ${result}`);
  }
}

/** Reads the spans ring of a file and checks that numbered spans come whole and in order. */
export class NumberedReader {
  /** Records taken. */
  taken = 0;
  private readonly mapping: Mapping;
  private readonly ring: RingReader;
  private readonly copy: RecordCopy;
  /** The record each producer has to bring next: two a span. */
  private readonly next: number[];

  constructor(path: string, producers: number) {
    this.mapping = Mapping.open(path);
    const geometry = readGeometry(path, this.mapping.u8, this.mapping.size);
    if ("unfinished" in geometry) throw new Error(geometry.unfinished);
    this.ring = openRing(this.mapping, geometry.rings[RING_SPANS], false);
    this.copy = createCopy(geometry.rings);
    this.next = Array(producers).fill(0);
  }

  /** Takes what is there now and gives the slots back. Throws what is wrong. */
  drain(): void {
    const { ring, copy } = this;
    while (isReady(ring)) {
      if (!copyRecord(ring, copy)) throw new Error(`record ${this.taken}: no length`);
      this.check(fromBinary(SpanEventSchema, copy.u8.subarray(copy.start, copy.end)));
      advance(ring);
      // In batches, as a collector does; the ring must not look full for long.
      if (++this.taken % 64 === 0) release(ring, ring.sequence);
    }
    release(ring, ring.sequence);
  }

  /** Drains until `records` were taken. Fails when nothing comes for 30 s. */
  async drainAll(records: number): Promise<void> {
    let last = performance.now();
    while (this.taken < records) {
      const before = this.taken;
      this.drain();
      if (this.taken > before) last = performance.now();
      else if (performance.now() - last > 30_000) {
        throw new Error(`${this.taken} of ${records} records, then nothing for 30 s`);
      }
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    if (this.taken > records || claimedAhead(this.ring) > 0) {
      throw new Error(`${this.taken + claimedAhead(this.ring)} records instead of ${records}`);
    }
  }

  close(): void {
    this.mapping.close();
  }

  private check(record: SpanEvent): void {
    const view = new DataView(record.traceId.buffer, record.traceId.byteOffset);
    const producer = view.getUint32(0) - 1;
    const number = view.getUint32(12);
    const { event } = record;
    const isEnd = event.case === "end";
    const what = `record ${this.taken}: producer ${producer}, span ${number}, ${event.case}`;
    if (this.next[producer] !== number * RECORDS_PER_SPAN + (isEnd ? 1 : 0)) {
      throw new Error(`${what} came instead of record ${this.next[producer]} of that producer`);
    }
    this.next[producer]++;
    const ids = new DataView(record.spanId.buffer, record.spanId.byteOffset);
    const text = textOf(producer, number);
    const checksum = crc32(`${producer}/${number}/${text}`);
    let whole = ids.getUint32(0) === producer + 1 && ids.getUint32(4) === number;
    if (event.case === "start") {
      const [first, second] = event.value.attributes.map(({ value }) => value?.value.value);
      whole &&= event.value.name === `span ${number}` &&
        event.value.startTimeUnixNano === BigInt(number) && event.value.attributes.length === 2 &&
        first === text && second === BigInt(checksum);
    } else if (event.case === "end") {
      whole &&= event.value.endTimeUnixNano === BigInt(number) + 1n &&
        event.value.status?.message === `${checksum} ${text}`;
    } else whole = false;
    if (!whole) throw new Error(`${what} is torn`);
  }
}
