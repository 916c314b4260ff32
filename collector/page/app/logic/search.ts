/**
 * Search in a trace that is loaded.
 *
 * @module
 */
import type { Tree } from "./tree.ts";
import { valueText } from "./values.ts";

/**
 * Places of the spans that contain a text, letters of either case, in name, service, span id, status
 * message, event names, attribute keys or values (`key=value` finds both together), in the tree's order.
 */
export function searchTree(tree: Tree, text: string): number[] {
  const wanted = text.trim().toLowerCase();
  if (wanted === "") return [];
  const has = (part: string): boolean => part.toLowerCase().includes(wanted);
  return tree.nodes.filter(({ span }) =>
    has(span.name) || has(span.service) || has(span.spanId) || has(span.statusMessage) ||
    span.attributes.some(({ key, value }) => has(`${key}=${valueText(value)}`)) ||
    span.events.some(({ name, attributes }) =>
      has(name) || attributes.some(({ key, value }) => has(`${key}=${valueText(value)}`))
    )
  ).map(({ index }) => index);
}
