/**
 * Which SDK `run` preloads into a program: the program's own, else the one that came with the
 * collector.
 *
 * @module
 */

/** What the entry of a compiled collector brings along (tools/compile/bundle.ts). */
export const bundled: {
  /** The source of register.ts and all it imports, as one module for either runtime. */
  register?: string;
} = {};
