/**
 * Texts of numbered records that tell when two of them were mixed.
 *
 * @module
 */
import { crc32 } from "node:zlib";

/** The body of a record: its number, a text of its own length, and a checksum of both. */
export function bodyOf(number: number): string {
  const text = `${number} `.repeat(1 + number % 37);
  return `${text}${crc32(text)}`;
}

/** The number of the record with this body; throws for a body that is not whole. */
export function numberOf(body: unknown): number {
  const number = Number.parseInt(String(body), 10);
  if (body !== bodyOf(number)) throw new Error(`a mix of records: ${body}`);
  return number;
}
