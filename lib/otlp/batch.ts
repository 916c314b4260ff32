/**
 * Batches: finished spans grouped by resource and scope, in blocks of the arena, until they become
 * one request.
 *
 * @module
 */
import { BYTES, OtlpResourceSpans, OtlpScopeSpans, tag } from "../format/fields.ts";
import { putVarint, varintBytes } from "../record/wire.ts";
import { Arena, BLOCK_BYTES } from "./arena.ts";
import type { ResourceEntry, ScopeEntry } from "./scopes.ts";

const SPANS = tag(OtlpScopeSpans.spans, BYTES);
const SCOPE_SPANS = tag(OtlpResourceSpans.scopeSpans, BYTES);
/** Field `resource_spans` of an ExportTraceServiceRequest. */
const RESOURCE_SPANS = tag(1, BYTES);

/** One ExportTraceServiceRequest. */
export interface Request {
  /** Its bytes: the first `length` of a buffer that is used again after `recycle`. */
  readonly buffer: Uint8Array<ArrayBuffer>;
  readonly length: number;
  /** Spans in it. */
  readonly spans: number;
  /** Indexes of the processes they came from. */
  readonly processes: readonly number[];
}

/** Buffers of sent requests that are kept for the next ones. */
const MAX_SPARE = 8;

/** The batch in the making. */
export class Batch {
  /** Spans and bytes in it. */
  spans = 0;
  bytes = 0;

  private readonly arena: Arena;
  private readonly scopes: ScopeEntry[] = [];
  private readonly spare: Uint8Array<ArrayBuffer>[] = [];

  /** @param arena Where the blocks are. */
  constructor(arena: Arena) {
    this.arena = arena;
  }

  /**
   * Adds a span that is in two pieces of the arena: its block, and what was added at the end.
   * False when there is no memory for it.
   */
  add(
    scope: ScopeEntry,
    block: number,
    blockLength: number,
    extra: number,
    extraLength: number,
  ): boolean {
    const length = blockLength + extraLength;
    const field = 1 + varintBytes(length) + length;
    if (scope.block < 0 || scope.length + field > BLOCK_BYTES << scope.blockClass) {
      if (!this.makeRoom(scope, field)) return false;
    }
    if (scope.spans === 0) this.scopes.push(scope);
    const u8 = this.arena.bytes.u8;
    let at = scope.block + scope.length;
    u8[at] = SPANS;
    at = putVarint(u8, at + 1, length);
    u8.copyWithin(at, block, block + blockLength);
    if (extraLength > 0) u8.copyWithin(at + blockLength, extra, extra + extraLength);
    scope.length += field;
    scope.spans++;
    this.spans++;
    this.bytes += field;
    return true;
  }

  /** Makes the batch into a request and starts the next. Null when it is empty. */
  seal(): Request | null {
    if (this.spans === 0) return null;
    const byResource = new Map<ResourceEntry, { scopes: ScopeEntry[]; length: number }>();
    const processes = new Set<number>();
    for (const scope of this.scopes) {
      processes.add(scope.process);
      let group = byResource.get(scope.resource);
      if (group === undefined) {
        group = { scopes: [], length: scope.resource.head.length + scope.resource.tail.length };
        byResource.set(scope.resource, group);
      }
      group.scopes.push(scope);
      group.length += fieldBytes(scopeSpansBytes(scope));
    }
    let total = 0;
    for (const group of byResource.values()) total += fieldBytes(group.length);

    const buffer = this.buffer(total);
    const source = this.arena.bytes.u8;
    let at = 0;
    for (const [resource, group] of byResource) {
      buffer[at] = RESOURCE_SPANS;
      at = putVarint(buffer, at + 1, group.length);
      buffer.set(resource.head, at);
      at += resource.head.length;
      for (const scope of group.scopes) {
        buffer[at] = SCOPE_SPANS;
        at = putVarint(buffer, at + 1, scopeSpansBytes(scope));
        buffer.set(scope.head, at);
        at += scope.head.length;
        buffer.set(source.subarray(scope.block, scope.block + scope.length), at);
        at += scope.length;
        buffer.set(scope.tail, at);
        at += scope.tail.length;
        this.arena.release(scope.block, scope.blockClass);
        scope.block = -1;
        scope.length = 0;
        scope.spans = 0;
      }
      buffer.set(resource.tail, at);
      at += resource.tail.length;
    }
    const request = { buffer, length: at, spans: this.spans, processes: [...processes] };
    this.scopes.length = 0;
    this.spans = 0;
    this.bytes = 0;
    return request;
  }

  /** Gives back the buffer of a request that nobody looks at any more. */
  recycle(request: Request): void {
    if (this.spare.length < MAX_SPARE) this.spare.push(request.buffer);
  }

  private buffer(bytes: number): Uint8Array<ArrayBuffer> {
    for (let i = 0; i < this.spare.length; i++) {
      if (this.spare[i].length >= bytes) return this.spare.splice(i, 1)[0];
    }
    this.spare.pop();
    // Some room to spare, so that the next request of this kind fits.
    return new Uint8Array(bytes + (bytes >> 2));
  }

  private makeRoom(scope: ScopeEntry, bytes: number): boolean {
    // As large as it was the last time, for most scopes are as busy as they were.
    const blockClass = Math.max(Arena.classFor(scope.length + bytes), scope.blockClass);
    if (Arena.classFor(scope.length + bytes) < 0) return false;
    const block = this.arena.allocate(blockClass);
    if (block < 0) return false;
    if (scope.block >= 0) {
      this.arena.bytes.u8.copyWithin(block, scope.block, scope.block + scope.length);
      this.arena.release(scope.block, scope.blockClass);
    }
    scope.block = block;
    scope.blockClass = blockClass;
    return true;
  }
}

function scopeSpansBytes(scope: ScopeEntry): number {
  return scope.head.length + scope.length + scope.tail.length;
}

function fieldBytes(length: number): number {
  return 1 + varintBytes(length) + length;
}
