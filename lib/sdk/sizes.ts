/**
 * Sizes of the file as environment variables: `OTLP_MMAP_SPANS_SLOTS`, `OTLP_MMAP_SPANS_SLOT_BYTES`,
 * the same for EVENTS and MEASUREMENTS, and `OTLP_MMAP_DICTIONARY_BYTES`.
 *
 * @module
 */
import { type FileSizes, planFile, type RingSize } from "../file/write.ts";
import { RING_NAMES } from "../format/layout.ts";
import { givenAs } from "./given.ts";

type RingName = (typeof RING_NAMES)[number];

/** What is variable of a ring, by the end of the variable's name. */
const FIELDS = { SLOTS: "slots", SLOT_BYTES: "slotBytes" } as const;

/** The variable of a ring's slots or their bytes. */
export function sizeVariable(ring: RingName, field: keyof RingSize): string {
  const [end] = Object.entries(FIELDS).find(([, name]) => name === field)!;
  return `OTLP_MMAP_${ring.toUpperCase()}_${end}`;
}

/** The variable of the most bytes that the dictionary may take. */
export const DICTIONARY_VARIABLE = "OTLP_MMAP_DICTIONARY_BYTES";

/** Sizes as variables: what is left out of them is left out here. */
export function sizeVariables(sizes: FileSizes): [name: string, value: number][] {
  const variables: [string, number][] = [];
  for (const ring of RING_NAMES) {
    for (const field of Object.values(FIELDS)) {
      const value = sizes[ring]?.[field];
      if (value !== undefined) variables.push([sizeVariable(ring, field), value]);
    }
  }
  const { dictionaryBytes } = sizes;
  if (dictionaryBytes !== undefined) variables.push([DICTIONARY_VARIABLE, dictionaryBytes]);
  return variables;
}

/** Reads the variables. What a file can't have is left out, with a line in `warnings`. */
export function readSizes(
  get: (name: string) => string | undefined,
  warnings: string[],
): FileSizes {
  const sizes: Partial<Record<RingName, Partial<RingSize>>> & { dictionaryBytes?: number } = {};
  const read = (name: string, sizesOf: (value: number) => FileSizes): number | undefined => {
    const text = get(name);
    if (text === undefined) return undefined;
    const value = /^\d+$/.test(text) ? Number(text) : NaN;
    const problem = problemOf(sizesOf(value));
    if (problem === null) return value;
    warnings.push(`${name}=${text}: ${problem}; ignored`);
    return undefined;
  };
  for (const ring of RING_NAMES) {
    for (const field of Object.values(FIELDS)) {
      const value = read(
        sizeVariable(ring, field),
        (value) => ({ [ring]: { [field]: value } }),
      );
      if (value !== undefined) sizes[ring] = { ...sizes[ring], [field]: value };
    }
  }
  const dictionaryBytes = read(DICTIONARY_VARIABLE, (value) => ({ dictionaryBytes: value }));
  if (dictionaryBytes !== undefined) sizes.dictionaryBytes = dictionaryBytes;
  const problem = problemOf(sizes);
  if (problem === null) return sizes;
  const names = sizeVariables(sizes).map(([name, value]) => `${name}=${value}`).join(", ");
  warnings.push(`${names}: ${problem}; all of them are ignored`);
  return {};
}

/** Sizes of the program over those of the environment. */
export function mergeSizes(
  own: FileSizes,
  env: FileSizes,
  warn: (message: string) => void,
): FileSizes {
  const merged: FileSizes = { ...env, ...own };
  for (const ring of RING_NAMES) {
    merged[ring] = { ...env[ring], ...givenAs(`sizes.${ring}`, own[ring], "an object", warn) };
  }
  return merged;
}

function problemOf(sizes: FileSizes): string | null {
  try {
    planFile("these sizes", sizes);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}
