/**
 * Why a file can't be read, and what to do about it, in a sentence.
 *
 * @module
 */
import packageJson from "../../package.json" with { type: "json" };
import { FormatError } from "../../lib/file/geometry.ts";
import { EXT_MAGIC, EXT_MAGIC_TEXT, HEADER_BYTES } from "../../lib/format/layout.ts";
import { firstLine, printable, quoted } from "../text/text.ts";
import type { FileImage } from "./image.ts";
import { formatAge, formatBytes, shellWord } from "./units.ts";

/** What is being made is finished after this, milliseconds. */
const UNFINISHED_MS = 10_000;
/** Of a file that is far too long: more than most writers' take. */
const SAVED_BYTES = "256M";

/**
 * @param fault What opening it failed of, or what its header failed of.
 * @param image What was read of it.
 * @param held Somebody holds the lock of the file or has it mapped, as its writer does.
 * @param now ms since the Unix epoch.
 */
export function explainUnreadable(
  path: string,
  fault: Error | { readonly unfinished: string },
  image?: FileImage,
  held: boolean = false,
  now: number = 0,
): string {
  if (image === undefined) return explainOpening(path, fault as Error & { code?: string });
  const word = shellWord(path);
  const recover = `save what can be saved with: otlp-mmap recover ${word}`;
  const intruder =
    `find out what writes into this file besides its owner (\`lsof ${word}\` lists who ` +
    `has it open), and ${recover}`;
  const { size } = image;
  if ("unfinished" in fault) {
    const reason = fault.unfinished.replace(/: the file is still being made$/, "");
    const isBlank = isZero(image.u8.subarray(0, HEADER_BYTES));
    const isWiped = isBlank && image.firstContent !== null;
    if ((held && !isWiped) || now - image.modified < UNFINISHED_MS) {
      return `it is still being made (${reason}): look again in a few seconds`;
    }
    const age = formatAge(now - image.modified);
    if (size === 0) {
      return `it is empty, and was last written ${age} ago: its writer ended while it made it, ` +
        `or it is no file of ours; remove it`;
    }
    if (/past the end of the file/.test(reason)) {
      return `it was cut short (${reason}): see that nothing truncates or copies it while it is ` +
        `written (logrotate, a full disk), and ${recover}`;
    }
    if (isWiped) {
      return `its header was overwritten with zeros, and there are data behind it` +
        `${hasMagic(image) ? " (with the mark of our writer)" : ""}: ${intruder}`;
    }
    if (isBlank) {
      return `it holds nothing but zeros (${
        formatBytes(size)
      }): its writer ended before it wrote ` +
        `anything, or it is no file of ours; remove it`;
    }
    return `it was never finished (${reason}; last written ${age} ago): its writer ended while it ` +
      `made it, before it recorded anything: remove it; or, if it was in use before, ${recover}`;
  }
  const reason = fault instanceof FormatError ? fault.reason : (fault as Error).message;
  if (size < HEADER_BYTES || /outside the file|truncated/.test(reason)) {
    return `it was cut short, or its header is damaged (${strip(reason)}): see that nothing ` +
      `truncates or copies it while it is written (logrotate, a full disk), and ${recover}`;
  }
  if (/^version is .* big-endian/.test(reason)) {
    return `${reason}: read it on the machine that wrote it, with a reader for that`;
  }
  if (reason.startsWith("version is")) {
    return `${reason} by otlp-mmap ${packageJson.version}: the application has a newer one; install that ` +
      `for the collector, too`;
  }
  if (reason.startsWith("not an otlp-mmap file")) {
    const start = firstLine(new TextDecoder().decode(image.u8.subarray(0, 16)), 16);
    return `it is no otlp-mmap file (it begins with ${quoted(start)}): check the path`;
  }
  return `its header is damaged (${reason}): a collector skips it; ${intruder}`;
}

function explainOpening(path: string, error: Error & { code?: string }): string {
  switch (error.code) {
    case "EISDIR":
      return `it is a directory: name the files in it (${shellWord(path)}/*.otlp)`;
    case "ENODEV":
      return "it is not a regular file: name a file that an application writes";
    case "ENOENT":
    case "ENOTDIR":
      return "there is no such file: check the path; `otlp-mmap doctor` says which directories are " +
        "looked at";
    case "EACCES":
    case "EPERM":
      return "this user may not read it: run this as the user that the application runs as, or as " +
        "root";
    case "EFBIG":
      return `${error.message}: something has made it longer; save what can be saved of how it ` +
        `begins: head -c ${SAVED_BYTES} ${
          shellWord(path)
        } > copy.otlp, and then: otlp-mmap recover ` +
        `copy.otlp`;
    default:
      return `it can't be read: ${printable(error.message)}`;
  }
}

function strip(reason: string): string {
  return reason.replace(/^the file is truncated: /, "");
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

function hasMagic({ u8 }: FileImage): boolean {
  for (let i = 0; i < EXT_MAGIC_TEXT.length; i++) {
    if (u8[EXT_MAGIC + i] !== EXT_MAGIC_TEXT.charCodeAt(i)) return false;
  }
  return true;
}
