/**
 * Which spans a trace waited for: shortening anything else would not have made it faster.
 *
 * @module
 */
import type { Tree } from "./tree.ts";

/** A stretch of a span that is on the critical path, milliseconds since the start of the trace. */
export interface Segment {
  readonly index: number;
  readonly from: number;
  readonly to: number;
}

/**
 * Walks from the end of the longest root backwards: at each moment the trace waited for the child that
 * ended last before it, and where no child ran, for the span itself. A child that outlives its parent
 * counts to the parent's end. Latest segment first.
 */
export function criticalPath(tree: Tree): Segment[] {
  const { nodes } = tree;
  let root = -1;
  for (const node of nodes) {
    if (node.parent >= 0) continue;
    if (root < 0 || node.end - node.start > nodes[root]!.end - nodes[root]!.start) {
      root = node.index;
    }
  }
  if (root < 0) return [];

  const out: Segment[] = [];
  const push = (index: number, from: number, to: number): void => {
    if (to > from) out.push({ index, from, to });
  };
  // A frame is a span, the moment up to which it has been walked, and the children not yet looked at.
  type Frame = { index: number; floor: number; to: number; left: number[] };
  const byEnd = (index: number): number[] =>
    [...nodes[index]!.children].sort((a, b) => nodes[a]!.end - nodes[b]!.end);
  const stack: Frame[] = [{
    index: root,
    floor: nodes[root]!.start,
    to: nodes[root]!.end,
    left: byEnd(root),
  }];
  while (stack.length > 0) {
    const frame = stack.at(-1)!;
    const child = frame.left.pop();
    if (child === undefined) {
      push(frame.index, frame.floor, frame.to);
      stack.pop();
      continue;
    }
    const node = nodes[child]!;
    const end = Math.min(node.end, frame.to);
    const start = Math.max(node.start, frame.floor);
    if (start >= end) continue;
    push(frame.index, end, frame.to);
    frame.to = start;
    stack.push({ index: child, floor: start, to: end, left: byEnd(child) });
  }
  return out;
}

/** Segments by the span they belong to. */
export function segmentsBySpan(segments: readonly Segment[]): Map<number, Segment[]> {
  const out = new Map<number, Segment[]>();
  for (const segment of segments) {
    const list = out.get(segment.index);
    if (list) list.push(segment);
    else out.set(segment.index, [segment]);
  }
  return out;
}
