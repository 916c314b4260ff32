/**
 * Two traces beside each other.
 *
 * @module
 */
import type { Node, Tree } from "./tree.ts";

/** What spans of one service and name took in both traces. */
export interface Difference {
  readonly service: string;
  readonly name: string;
  /** How many there are. */
  readonly countA: number;
  readonly countB: number;
  /** Nanoseconds, all of them together. */
  readonly totalA: number;
  readonly totalB: number;
}

/** Service and name; a service name with the separator in it can't be mistaken for another pair. */
function key({ span }: Node): string {
  return JSON.stringify([span.service, span.name]);
}

/** Spans by service and name, the greatest difference of durations first. */
export function differences(a: Tree, b: Tree): Difference[] {
  type Sum = { -readonly [Key in keyof Difference]: Difference[Key] };
  const sums = new Map<string, Sum>();
  const add = (node: Node, side: "A" | "B"): void => {
    let sum = sums.get(key(node));
    if (!sum) {
      const { service, name } = node.span;
      sum = { service, name, countA: 0, countB: 0, totalA: 0, totalB: 0 };
      sums.set(key(node), sum);
    }
    sum[`count${side}`]++;
    sum[`total${side}`] += node.span.durationNs;
  };
  for (const node of a.nodes) add(node, "A");
  for (const node of b.nodes) add(node, "B");
  return [...sums.values()].sort((x, y) =>
    Math.abs(y.totalB - y.totalA) - Math.abs(x.totalB - x.totalA)
  );
}

/**
 * For each span of `tree`, the span of `other` it is compared with: of the same service and name, and
 * the same one in order. -1 where there is none.
 */
export function counterparts(tree: Tree, other: Tree): number[] {
  const places = new Map<string, number[]>();
  for (const node of other.nodes) {
    const list = places.get(key(node));
    if (list) list.push(node.index);
    else places.set(key(node), [node.index]);
  }
  const used = new Map<string, number>();
  return tree.nodes.map((node) => {
    const id = key(node);
    const nth = used.get(id) ?? 0;
    used.set(id, nth + 1);
    return places.get(id)?.[nth] ?? -1;
  });
}
