/**
 * What nobody may come upon by walking through an object.
 *
 * @module
 */

/**
 * Adds properties that JSON, structured clones, comparisons and loggers don't see: a span that is
 * logged leads to the mapped file, and whoever reads all of a view touches pages the file does not
 * have yet, which is a bus error. To be called where the object is made: a property that is hidden
 * later makes every access slow.
 */
export function hide(object: object, properties: Record<string, unknown>): void {
  // Configurable, for tests that put watched views in their place.
  for (const [name, value] of Object.entries(properties)) {
    Object.defineProperty(object, name, { value, configurable: true });
  }
}
