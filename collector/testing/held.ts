/**
 * What an object holds, counted: nothing of this depends on when memory is collected.
 *
 * @module
 */

/**
 * Objects, elements and entries that an object leads to by way of properties, maps and sets; not by
 * closures, nor through weak references.
 */
export function heldBy(root: object): number {
  const seen = new Set<object>([root]);
  let elements = 0;
  const add = (value: unknown): void => {
    if (typeof value === "object" && value !== null) seen.add(value);
  };
  // What is added on the way comes later.
  for (const each of seen) {
    if (ArrayBuffer.isView(each) || each instanceof ArrayBuffer) continue;
    if (each instanceof Map) {
      elements += each.size;
      for (const entry of each) entry.forEach(add);
    } else if (each instanceof Set) {
      elements += each.size;
      each.forEach(add);
    }
    for (const { value } of Object.values(Object.getOwnPropertyDescriptors(each))) {
      elements++;
      add(value);
    }
  }
  return seen.size + elements;
}
