/**
 * Batches: spans or log records grouped by resource and scope, in blocks of the arena, until they
 * become one request.
 *
 * @module
 */
import { BYTES, OtlpResourceSpans, OtlpScopeSpans, tag } from "../format/fields.ts";
import { putVarint, varintBytes } from "../record/wire.ts";
import { Arena, BLOCK_BYTES } from "./arena.ts";
import type { Request } from "./request.ts";
import type { ResourceEntry, ScopeEntry } from "./scopes.ts";

// `ScopeLogs` and `ResourceLogs` have the numbers of `ScopeSpans` and `ResourceSpans`.
const ITEM = tag(OtlpScopeSpans.spans, BYTES);
const SCOPE_ITEMS = tag(OtlpResourceSpans.scopeSpans, BYTES);
/** Field `resource_spans` or `resource_logs` of the request. */
const RESOURCE_ITEMS = tag(1, BYTES);

/** Buffers of sent requests that are kept for the next ones. */
const MAX_SPARE = 8;

/** What a batch holds of one scope. */
interface Pile {
  scope: ScopeEntry;
  /** Block of the arena with the items' fields; -1 when there is none. */
  block: number;
  blockClass: number;
  /** Bytes and items in it. */
  length: number;
  items: number;
}

/** The batch of one signal in the making. */
export class Batch {
  readonly signal: "traces" | "logs";
  /** Spans or log records, and bytes in it. */
  items = 0;
  bytes = 0;

  private readonly arena: Arena;
  /** By `ScopeEntry.index`. */
  private readonly piles: Pile[] = [];
  /** The ones that are not empty. */
  private readonly filled: Pile[] = [];
  private readonly spare: Uint8Array<ArrayBuffer>[] = [];
  /** Classes of blocks of piles that are still to be made. */
  private remembered: Uint8Array = new Uint8Array(0);

  /**
   * @param signal What it holds.
   * @param arena Where the blocks are.
   */
  constructor(signal: "traces" | "logs", arena: Arena) {
    this.signal = signal;
    this.arena = arena;
  }

  /**
   * Adds an item that is in two pieces of the arena: its block, and what was added at the end.
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
    const pile = this.piles[scope.index] ?? this.addPile(scope);
    if (pile.block < 0 || pile.length + field > BLOCK_BYTES << pile.blockClass) {
      if (!this.makeRoom(pile, field)) return false;
    }
    if (pile.items === 0) {
      // Indexes of forgotten scopes are used again.
      pile.scope = scope;
      this.filled.push(pile);
    }
    const u8 = this.arena.bytes.u8;
    let at = pile.block + pile.length;
    u8[at] = ITEM;
    at = putVarint(u8, at + 1, length);
    u8.copyWithin(at, block, block + blockLength);
    if (extraLength > 0) u8.copyWithin(at + blockLength, extra, extra + extraLength);
    pile.length += field;
    pile.items++;
    this.items++;
    this.bytes += field;
    return true;
  }

  /** Makes the batch into a request and starts the next. Null when it is empty. */
  seal(): Request | null {
    if (this.items === 0) return null;
    const byResource = new Map<ResourceEntry, { piles: Pile[]; length: number }>();
    const processes = new Set<number>();
    for (const pile of this.filled) {
      const { resource, process } = pile.scope;
      processes.add(process);
      let group = byResource.get(resource);
      if (group === undefined) {
        group = { piles: [], length: resource.head.length + resource.tail.length };
        byResource.set(resource, group);
      }
      group.piles.push(pile);
      group.length += fieldBytes(pileBytes(pile));
    }
    let total = 0;
    for (const group of byResource.values()) total += fieldBytes(group.length);

    const buffer = this.buffer(total);
    const source = this.arena.bytes.u8;
    let at = 0;
    for (const [resource, group] of byResource) {
      buffer[at] = RESOURCE_ITEMS;
      at = putVarint(buffer, at + 1, group.length);
      buffer.set(resource.head, at);
      at += resource.head.length;
      for (const pile of group.piles) {
        const { head, tail } = pile.scope;
        buffer[at] = SCOPE_ITEMS;
        at = putVarint(buffer, at + 1, pileBytes(pile));
        buffer.set(head, at);
        at += head.length;
        buffer.set(source.subarray(pile.block, pile.block + pile.length), at);
        at += pile.length;
        buffer.set(tail, at);
        at += tail.length;
        this.arena.release(pile.block, pile.blockClass);
        pile.block = -1;
        pile.length = 0;
        pile.items = 0;
      }
      buffer.set(resource.tail, at);
      at += resource.tail.length;
    }
    const { signal, items } = this;
    this.filled.length = 0;
    this.items = 0;
    this.bytes = 0;
    return { signal, buffer, length: at, items, processes: [...processes] };
  }

  /** Gives back the buffer of a request that nobody looks at any more. */
  recycle(request: Request): void {
    if (this.spare.length < MAX_SPARE) this.spare.push(request.buffer);
  }

  /** True when it holds something of a process. */
  holds(process: number): boolean {
    for (const { scope } of this.filled) if (scope.process === process) return true;
    return false;
  }

  /** The class of each scope's last block, by the scope's index: it decides how large the next is. */
  blockClasses(): Uint8Array {
    const classes = new Uint8Array(Math.max(this.piles.length, this.remembered.length));
    classes.set(this.remembered);
    for (let i = 0; i < this.piles.length; i++) classes[i] = this.piles[i].blockClass;
    return classes;
  }

  /** Goes on with classes that another batch said. */
  rememberClasses(classes: Uint8Array): void {
    this.remembered = classes.map((each) => Math.min(each, Arena.classes - 1));
  }

  private addPile(scope: ScopeEntry): Pile {
    while (this.piles.length <= scope.index) {
      const blockClass = this.remembered[this.piles.length] ?? 0;
      this.piles.push({ scope, block: -1, blockClass, length: 0, items: 0 });
    }
    return this.piles[scope.index];
  }

  private buffer(bytes: number): Uint8Array<ArrayBuffer> {
    for (let i = 0; i < this.spare.length; i++) {
      if (this.spare[i].length >= bytes) return this.spare.splice(i, 1)[0];
    }
    this.spare.pop();
    // Some room to spare, so that the next request of this kind fits.
    return new Uint8Array(bytes + (bytes >> 2));
  }

  private makeRoom(pile: Pile, bytes: number): boolean {
    const needed = Arena.classFor(pile.length + bytes);
    if (needed < 0) return false;
    // As large as it was the last time, for most scopes are as busy as they were.
    const blockClass = Math.max(needed, pile.blockClass);
    const block = this.arena.allocate(blockClass);
    if (block < 0) return false;
    if (pile.block >= 0) {
      this.arena.bytes.u8.copyWithin(block, pile.block, pile.block + pile.length);
      this.arena.release(pile.block, pile.blockClass);
    }
    pile.block = block;
    pile.blockClass = blockClass;
    return true;
  }
}

function pileBytes({ scope, length }: Pile): number {
  return scope.head.length + length + scope.tail.length;
}

function fieldBytes(length: number): number {
  return 1 + varintBytes(length) + length;
}
