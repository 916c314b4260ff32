import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { seed } from "../../../../tests/support/random.ts";
import { hex, seeded } from "../../testing/random.ts";
import { counterparts, differences } from "./compare.ts";
import { criticalPath, segmentsBySpan } from "./critical-path.ts";
import { searchTree } from "./search.ts";
import { above, buildTree, shown, type TreeSpan } from "./tree.ts";

/** A span by its id, parent, start and end in ms. */
function span(
  spanId: string,
  parentSpanId: string,
  start: number,
  end: number,
  more: Partial<TreeSpan> = {},
): TreeSpan {
  return {
    traceId: "t",
    spanId,
    parentSpanId,
    name: spanId,
    service: "s",
    kind: "internal",
    status: "unset",
    startNs: String(1_800_000_000_000_000_000n + BigInt(Math.round(start * 1e6))),
    durationNs: Math.round((end - start) * 1e6),
    interrupted: false,
    resourceId: 1,
    statusMessage: "",
    traceState: "",
    flags: 0,
    attributes: [],
    events: [],
    links: [],
    droppedAttributes: 0,
    droppedEvents: 0,
    droppedLinks: 0,
    ...more,
  };
}

describe("tree", () => {
  it("puts children below their parents, by start", () => {
    const tree = buildTree([
      span("c", "a", 5, 6),
      span("a", "", 0, 10),
      span("b", "a", 1, 4, { status: "error" }),
      span("d", "b", 2, 3),
    ]);
    assert.deepEqual(tree.nodes.map(({ span, depth }) => `${depth}${span.spanId}`), [
      "0a",
      "1b",
      "2d",
      "1c",
    ]);
    assert.deepEqual(tree.nodes.map(({ below }) => below), [3, 1, 0, 0]);
    assert.deepEqual(tree.nodes.map(({ errors }) => errors), [1, 1, 0, 0]);
    assert.deepEqual(tree.nodes.map(({ start, end }) => [start, end]), [[0, 10], [1, 4], [2, 3], [
      5,
      6,
    ]]);
    assert.equal(tree.length, 10);
    assert.deepEqual(shown(tree, new Set([1])), [0, 1, 3]);
    assert.deepEqual(shown(tree, new Set([0])), [0]);
    assert.deepEqual(above(tree, 2), [1, 0]);
  });

  it("keeps spans whose parents are missing, in circles, themselves or twice there", () => {
    const tree = buildTree([
      span("orphan", "gone", 0, 1),
      span("x", "y", 2, 3),
      span("y", "x", 4, 5),
      span("self", "self", 6, 7),
      span("twin", "", 8, 9),
      span("twin", "", 10, 11),
      span("child", "twin", 12, 13),
    ]);
    assert.equal(tree.nodes.length, 7);
    assert.equal(tree.nodes.find(({ span }) => span.spanId === "orphan")!.orphan, true);
    const child = tree.nodes.find(({ span }) => span.spanId === "child")!;
    assert.equal(tree.nodes[child.parent]!.start, 8);
  });

  it("holds for any spans", () => {
    console.log(`seed ${seed}`);
    const random = seeded(seed);
    for (let round = 0; round < 30; round++) {
      const ids = Array.from({ length: 1 + Math.floor(random() * 60) }, () => hex(random, 2));
      const spans = ids.map((id) => {
        const start = random() * 100;
        const parent = random() < 0.2 ? "" : ids[Math.floor(random() * ids.length)]!;
        return span(id, parent, start, start + random() * 50);
      });
      const tree = buildTree(spans);
      assert.equal(new Set(tree.nodes.map(({ span }) => span)).size, spans.length);
      tree.nodes.forEach((node, i) => {
        assert.equal(node.index, i);
        assert.ok(node.parent < i);
        assert.ok(node.start >= 0 && node.end <= tree.length);
        const below = tree.nodes.slice(i + 1, i + 1 + node.below);
        assert.ok(below.every(({ depth }) => depth > node.depth));
      });
      // The path covers its root without gaps or overlaps.
      const path = criticalPath(tree);
      const sum = path.reduce((total, { from, to }) => total + to - from, 0);
      const longest = Math.max(
        ...tree.nodes.filter(({ parent }) => parent < 0).map(({ start, end }) => end - start),
      );
      assert.ok(Math.abs(sum - longest) < 1e-6, `${sum} ${longest}`);
    }
  });

  it("is not deeper than the stack", () => {
    const deep = Array.from(
      { length: 20_000 },
      (_, i) => span(`n${i}`, i === 0 ? "" : `n${i - 1}`, 0, 100),
    );
    const tree = buildTree(deep);
    assert.equal(tree.nodes.at(-1)!.depth, 19_999);
    assert.deepEqual(criticalPath(tree).map(({ index }) => index), [19_999]);
  });

  it("is empty without spans", () => {
    const tree = buildTree([]);
    assert.deepEqual([tree.nodes.length, tree.length, criticalPath(tree).length], [0, 0, 0]);
  });
});

describe("critical path", () => {
  it("goes through the child that ended last, and through the span where none ran", () => {
    const tree = buildTree([
      span("root", "", 0, 100),
      span("first", "root", 10, 40),
      span("beside", "root", 10, 30),
      span("second", "root", 50, 90),
      span("inner", "second", 60, 80),
    ]);
    const named = criticalPath(tree).map(({ index, from, to }) =>
      `${tree.nodes[index]!.span.spanId} ${from}-${to}`
    );
    assert.deepEqual(named, [
      "root 90-100",
      "second 80-90",
      "inner 60-80",
      "second 50-60",
      "root 40-50",
      "first 10-40",
      "root 0-10",
    ]);
    assert.equal(segmentsBySpan(criticalPath(tree)).get(0)!.length, 3);
  });

  it("counts a child that outlives its parent to the parent's end", () => {
    const tree = buildTree([span("root", "", 0, 10), span("late", "root", 5, 50)]);
    assert.deepEqual(criticalPath(tree), [{ index: 1, from: 5, to: 10 }, {
      index: 0,
      from: 0,
      to: 5,
    }]);
  });
});

describe("search in a trace", () => {
  it("finds names, services, attributes with values, and events", () => {
    const tree = buildTree([
      span("a", "", 0, 9, { name: "GET /Items", service: "shop" }),
      span("b", "a", 1, 2, { attributes: [{ key: "order.id", value: { intValue: "77" } }] }),
      span("c", "a", 3, 4, {
        events: [{ timeNs: "0", name: "retry", attributes: [], droppedAttributes: 0 }],
      }),
    ]);
    assert.deepEqual(searchTree(tree, "items"), [0]);
    assert.deepEqual(searchTree(tree, "SHOP"), [0]);
    assert.deepEqual(searchTree(tree, "order.id=77"), [1]);
    assert.deepEqual(searchTree(tree, "retry"), [2]);
    assert.deepEqual(searchTree(tree, "  "), []);
  });
});

describe("two traces", () => {
  const a = buildTree([
    span("r", "", 0, 10),
    span("x1", "r", 1, 3, { name: "x" }),
    span("x2", "r", 4, 5, { name: "x" }),
  ]);
  const b = buildTree([
    span("r", "", 0, 30),
    span("x3", "r", 1, 2, { name: "x" }),
    span("n", "r", 3, 4),
  ]);
  it("are compared by service and name", () => {
    assert.deepEqual(
      differences(a, b).map((
        { name, countA, countB, totalA, totalB },
      ) => [name, countA, countB, totalB - totalA]),
      [
        ["r", 1, 1, 20e6],
        ["x", 2, 1, -2e6],
        ["n", 0, 1, 1e6],
      ],
    );
  });
  it("pair spans in their order", () => {
    assert.deepEqual(counterparts(a, b), [0, 1, -1]);
    assert.deepEqual(counterparts(b, a), [0, 1, -1]);
  });
});
