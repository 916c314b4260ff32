import { fromBinary } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ExportLogsServiceRequestSchema } from "../../proto/gen/otlp_pb.ts";
import { Arena } from "./arena.ts";
import { Batch } from "./batch.ts";
import type { ScopeEntry } from "./scopes.ts";

/** A scope with a schema URL of one letter, of a resource with one too. */
function scope(index: number, process: number, name: string): ScopeEntry {
  const letter = name.charCodeAt(0);
  return {
    index,
    process,
    resource: { head: Uint8Array.of(), tail: Uint8Array.of(0x1a, 1, letter) },
    head: Uint8Array.of(),
    tail: Uint8Array.of(0x1a, 1, letter),
  };
}

describe("a batch", () => {
  const arena = new Arena();
  const batch = new Batch("logs", arena);

  /** Adds a log record whose severity is a number. */
  function add(to: ScopeEntry, severity: number): void {
    arena.bytes.u8.set([0x10, severity]);
    assert.ok(batch.add(to, 0, 2, 2, 0));
  }

  /** Resource, scope and severities of each pile in the request. */
  function sealed(): unknown[] {
    const request = batch.seal();
    assert.ok(request !== null);
    const bytes = request.buffer.slice(0, request.length);
    batch.recycle(request);
    const { resourceLogs } = fromBinary(ExportLogsServiceRequestSchema, bytes);
    return resourceLogs.flatMap(({ schemaUrl: resource, scopeLogs }) =>
      scopeLogs.map(({ schemaUrl, logRecords }) => [
        resource + schemaUrl,
        ...logRecords.map(({ severityNumber }) => severityNumber),
      ])
    );
  }

  it("keeps what belongs together together", () => {
    const [a, b] = [scope(0, 1, "a"), scope(5, 2, "b")];
    add(a, 1);
    add(b, 2);
    add(a, 3);
    assert.deepEqual([batch.items, batch.holds(1), batch.holds(2), batch.holds(3)], [
      ...[3, true, true, false],
    ]);
    assert.deepEqual(sealed(), [["aa", 1, 3], ["bb", 2]]);
    assert.deepEqual([batch.items, batch.bytes, batch.holds(1)], [0, 0, false]);
    assert.equal(batch.seal(), null);
  });

  it("does not take a scope for the one that had its index before", () => {
    add(scope(0, 1, "a"), 4);
    sealed();
    add(scope(0, 3, "c"), 5);
    assert.deepEqual([batch.holds(1), batch.holds(3)], [false, true]);
    assert.deepEqual(sealed(), [["cc", 5]]);
  });

  it("grows beyond the arena it began with, and gives its blocks back", () => {
    const one = scope(1, 1, "d");
    const before = arena.inUse;
    const large = arena.allocate(Arena.classFor(1 << 20));
    arena.bytes.u8.fill(0, large, large + (1 << 20));
    // Field 3, severity_text, of 1,000,000 letters.
    arena.bytes.u8.set([0x1a, 0xc0, 0x84, 0x3d], large);
    arena.bytes.u8.fill(0x78, large + 4, large + 1_000_004);
    for (let i = 0; i < 8; i++) assert.ok(batch.add(one, large, 1_000_004, 0, 0));
    const request = batch.seal()!;
    const [{ scopeLogs: [{ logRecords }] }] =
      fromBinary(ExportLogsServiceRequestSchema, request.buffer.subarray(0, request.length))
        .resourceLogs;
    assert.equal(logRecords.length, 8);
    assert.ok(logRecords.every(({ severityText }) => severityText === "x".repeat(1_000_000)));
    arena.release(large, Arena.classFor(1 << 20));
    assert.equal(arena.inUse, before);
  });
});
