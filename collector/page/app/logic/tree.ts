/**
 * A trace as a tree in the order it is drawn: children below their parent, by start.
 *
 * @module
 */
import type { Span } from "../../../store/queries/types.ts";
import { msBetween } from "./time.ts";

/** A span that may still be open: then its duration grows. */
export type TreeSpan = Omit<Span, "id" | "scopeId" | "resourceId"> & {
  /** Null while nothing of its process is stored. */
  readonly resourceId: number | null;
  readonly id?: number;
  readonly scopeId?: number;
  readonly open?: boolean;
};

/** A span in the tree. */
export interface Node {
  readonly span: TreeSpan;
  /** Its place in {@linkcode Tree.nodes}; a parent comes before its children. */
  readonly index: number;
  readonly depth: number;
  /** Place of the parent, -1 without one. */
  readonly parent: number;
  /** Places of the children, by start. */
  readonly children: readonly number[];
  /** How many are below it: those that follow it in the list. */
  readonly below: number;
  /** Of itself and those below, how many have status error. */
  readonly errors: number;
  /** It names a parent that is not there. */
  readonly orphan: boolean;
  /** Milliseconds since the start of the trace. */
  readonly start: number;
  readonly end: number;
}

/** A trace as it is drawn. */
export interface Tree {
  readonly nodes: readonly Node[];
  /** Start of the first span, nanoseconds as text. */
  readonly startNs: string;
  /** Milliseconds to the end of the last one. */
  readonly length: number;
}

type Building = { -readonly [Key in keyof Node]: Node[Key] } & { children: number[] };

/**
 * Builds the tree. Nothing that spans say of each other is trusted: a parent that is missing makes a
 * root, and so does a circle; a span id that occurs twice keeps both spans, the first as parent.
 */
export function buildTree(spans: readonly TreeSpan[]): Tree {
  if (spans.length === 0) return { nodes: [], startNs: "0", length: 0 };
  let base = spans[0]!.startNs;
  for (const span of spans) if (BigInt(span.startNs) < BigInt(base)) base = span.startNs;
  const starts = spans.map((span) => msBetween(base, span.startNs));

  const bySpanId = new Map<string, number>();
  spans.forEach((span, i) => {
    if (!bySpanId.has(span.spanId)) bySpanId.set(span.spanId, i);
  });
  const children: number[][] = spans.map(() => []);
  const roots: number[] = [];
  spans.forEach((span, i) => {
    const parent = span.parentSpanId === "" ? undefined : bySpanId.get(span.parentSpanId);
    if (parent === undefined || parent === i) roots.push(i);
    else children[parent]!.push(i);
  });
  const byStart = (a: number, b: number): number => starts[a]! - starts[b]! || a - b;
  roots.sort(byStart);
  for (const list of children) list.sort(byStart);

  const nodes: Building[] = [];
  const placed = new Uint8Array(spans.length);
  const place = (root: number): void => {
    // Of its own, not recursive: traces of a chain of thousands of spans are real.
    const stack = [{ at: root, depth: 0, parent: -1 }];
    while (stack.length > 0) {
      const { at, depth, parent } = stack.pop()!;
      if (placed[at]) continue;
      placed[at] = 1;
      const span = spans[at]!;
      const index = nodes.length;
      nodes.push({
        span,
        index,
        depth,
        parent,
        children: [],
        below: 0,
        errors: span.status === "error" ? 1 : 0,
        orphan: parent < 0 && span.parentSpanId !== "",
        start: starts[at]!,
        end: starts[at]! + span.durationNs / 1e6,
      });
      if (parent >= 0) nodes[parent]!.children.push(index);
      const list = children[at]!;
      for (let i = list.length - 1; i >= 0; i--) {
        stack.push({ at: list[i]!, depth: depth + 1, parent: index });
      }
    }
  };
  roots.forEach(place);
  // What is left is in circles.
  if (nodes.length < spans.length) spans.forEach((_, i) => placed[i] || place(i));

  let length = 0;
  for (let i = nodes.length - 1; i >= 0; i--) {
    const node = nodes[i]!;
    length = Math.max(length, node.end);
    if (node.parent < 0) continue;
    const parent = nodes[node.parent]!;
    parent.below += node.below + 1;
    parent.errors += node.errors;
  }
  return { nodes, startNs: base, length };
}

/** Places of the nodes that show when those in `collapsed` hide what is below them. */
export function shown(tree: Tree, collapsed: ReadonlySet<number>): number[] {
  const out: number[] = [];
  for (let i = 0; i < tree.nodes.length;) {
    out.push(i);
    i += collapsed.has(i) ? tree.nodes[i]!.below + 1 : 1;
  }
  return out;
}

/** The places above a node, nearest first. */
export function above(tree: Tree, index: number): number[] {
  const out: number[] = [];
  for (let at = tree.nodes[index]?.parent ?? -1; at >= 0; at = tree.nodes[at]!.parent) out.push(at);
  return out;
}
