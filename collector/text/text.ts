/**
 * Making text from elsewhere (span names, server messages, file names) safe to put on a terminal.
 *
 * @module
 */

// Control, format (bidirectional overrides and the like), separator, surrogate and unassigned
// characters. The two joiners stay: without them emoji and several scripts fall apart.
const UNSAFE = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Cn}]/gu;
const SIMPLE = /^[\p{L}\p{N}_.:/@+-]+$/u;

function escapeOne(character: string): string {
  if (character === "\n") return "\\n";
  if (character === "\r") return "\\r";
  if (character === "\t") return "\\t";
  const code = character.codePointAt(0) as number;
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, "0")}`;
  return `\\u{${code.toString(16)}}`;
}

/**
 * The text with every character escaped that could move the cursor, colour, reorder or hide what
 * is on the terminal, cut to at most `limit` UTF-16 units before escaping (never inside a character).
 */
export function printable(text: string, limit = 512): string {
  return cut(text, limit).replace(UNSAFE, escapeOne);
}

/** {@linkcode printable} in double quotes, with quotes and backslashes inside escaped. */
export function quoted(text: string, limit = 512): string {
  return `"${cut(text, limit).replace(/["\\]/g, "\\$&").replace(UNSAFE, escapeOne)}"`;
}

/** The text as it is when it is one plain word, {@linkcode quoted} otherwise. */
export function word(text: string, limit = 512): string {
  return text.length <= limit && SIMPLE.test(text) ? text : quoted(text, limit);
}

/** The first line that is not blank, printable and short. */
export function firstLine(text: string, limit = 200): string {
  const line = text.split(/[\r\n]/).find((candidate) => candidate.trim() !== "") ?? "";
  return printable(line.trim(), limit);
}

/** `12 records`, `1 record`; `shown` is the number as it is to be read. */
export function plural(
  count: number,
  one: string,
  many: string = `${one}s`,
  shown: string = String(count),
): string {
  return `${shown} ${count === 1 ? one : many}`;
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EACCES: "permission denied",
  EISDIR: "it is a directory",
};

/** Why a file can't be read, without its name, which whoever says it knows. */
export function whyNotRead(error: Error & { code?: unknown }): string {
  const { code, message } = error;
  return typeof code === "string" && code in REASONS ? REASONS[code] : firstLine(message);
}

function cut(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const last = text.charCodeAt(limit - 1);
  const end = last >= 0xd800 && last < 0xdc00 ? limit - 1 : limit;
  return text.slice(0, end) + "…";
}
