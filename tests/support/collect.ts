/**
 * Drains files that are in memory, without mappings, locks or network: rounds, assembly, and what
 * comes out decoded by the generated protobuf code.
 *
 * @module
 */
import { fromBinary } from "@bufbuild/protobuf";
import { gunzipSync } from "node:zlib";
import { readFileSync } from "node:fs";
import { type Drain, openDrain } from "../../collector/drain.ts";
import { isIdle, round, type RoundFile, type RoundProcess } from "../../collector/round.ts";
import type { GrowingFile } from "../../lib/dictionary/read.ts";
import { readGeometry } from "../../lib/file/geometry.ts";
import { Assembler, INTERRUPTIONS, type Limits, PairList } from "../../lib/otlp/assemble.ts";
import type { FileViews } from "../../lib/ring/write.ts";
import {
  type ExportTraceServiceRequest,
  ExportTraceServiceRequestSchema,
  type ResourceSpans,
  type ScopeSpans,
  type Span,
} from "../../proto/gen/otlp_pb.ts";

/** A file in memory. */
export interface MemoryFile extends FileViews, GrowingFile {
  readonly size: number;
}

/** A span with what it belongs to. */
export interface CollectedSpan {
  readonly span: Span;
  readonly scope: ScopeSpans;
  readonly resource: ResourceSpans;
}

/** Reads one of the files other implementations left behind. */
export function vector(name: string): MemoryFile {
  const bytes = gunzipSync(readFileSync(new URL(`../vectors/${name}.otlp.gz`, import.meta.url)));
  return memoryFile(bytes);
}

/** A copy of a file's bytes. */
export function memoryFile(bytes: Uint8Array): MemoryFile {
  const buffer = new ArrayBuffer(Math.ceil(bytes.length / 8) * 8);
  const u8 = new Uint8Array(buffer);
  u8.set(bytes);
  return {
    u8,
    i32: new Int32Array(buffer),
    i64: new BigInt64Array(buffer),
    size: bytes.length,
    reach: (end) => end <= bytes.length ? u8 : null,
  };
}

/** An assembler and one process, to which files in memory are added. */
export class MemoryCollector {
  readonly assembler: Assembler;
  readonly process: RoundProcess;
  readonly requests: ExportTraceServiceRequest[] = [];

  constructor(limits?: Limits) {
    this.assembler = new Assembler(() => {}, limits);
    this.process = { state: this.assembler.addProcess(), files: [], waiting: new PairList() };
  }

  /** Adds a file. `over`: its owner is gone. */
  add(
    file: MemoryFile,
    options: { older?: RoundFile; over?: boolean } = {},
  ): RoundFile & { drain: Drain } {
    const { older = null, over = true } = options;
    const geometry = readGeometry("memory", file.u8, file.size);
    if ("unfinished" in geometry) throw new Error(geometry.unfinished);
    const id = this.process.files.length + 1;
    const drain = openDrain(id, file, geometry, this.assembler, this.process.state);
    drain.over = over;
    const added: RoundFile = {
      drain,
      generation: older === null ? 0 : older.generation + 1,
      older,
      spansDone: false,
      closed: over,
      limits: [Infinity, Infinity, Infinity],
      safe: -1,
      target: -1,
    };
    this.process.files.push(added);
    return added;
  }

  /** Rounds until there is nothing left to take (or only what must be waited for). */
  rounds(): void {
    while (round(this.process, this.assembler) > 0 || !isIdle(this.process)) {
      if (this.process.files.some(({ drain }) => !drain.over)) {
        if (round(this.process, this.assembler) === 0) break;
      }
    }
  }

  /** What open spans there are goes out as interrupted. */
  interrupt(): void {
    this.assembler.interrupt(this.process.state, INTERRUPTIONS.died);
  }

  /** Every span that came out since the last call. */
  spans(): CollectedSpan[] {
    const request = this.assembler.batch.seal();
    if (request === null) return [];
    const bytes = request.buffer.slice(0, request.length);
    this.assembler.batch.recycle(request);
    const message = fromBinary(ExportTraceServiceRequestSchema, bytes);
    this.requests.push(message);
    return spansOf(message);
  }
}

/** The spans of a request, flat. */
export function spansOf(request: ExportTraceServiceRequest): CollectedSpan[] {
  return request.resourceSpans.flatMap((resource) =>
    resource.scopeSpans.flatMap((scope) => scope.spans.map((span) => ({ span, scope, resource })))
  );
}

/** Everything in a file whose owner is gone. */
export function drainAll(file: MemoryFile): { spans: CollectedSpan[]; collector: MemoryCollector } {
  const collector = new MemoryCollector();
  collector.add(file);
  collector.rounds();
  collector.interrupt();
  return { spans: collector.spans(), collector };
}
