/**
 * Text from elsewhere, made safe to look at: long text is cut, and control characters get a visible
 * form, so that a name can't reorder or blank what is beside it.
 *
 * @module
 */

/** Characters of a text in a list. */
export const CUT_IN_LIST = 160;
/** Characters of a text in a detail. */
export const CUT_IN_DETAIL = 2000;

// Control characters but newline and tab, format characters (bidirectional controls, what has no
// width), and separators of lines. The joiner of emoji and scripts is a format character that belongs.
const INVISIBLE = /(?![\n\t\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Replaces characters that don't show by a picture of them or their code point. */
export function visible(text: string): string {
  return text.replace(INVISIBLE, (char) => {
    const code = char.codePointAt(0)!;
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    if (code === 0x7f) return "\u2421";
    return `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

/** Text on one line: line breaks and tabs are shown too. */
export function oneLine(text: string): string {
  return visible(text.replace(/\r\n|\n/g, "⏎").replace(/\t/g, "⇥"));
}

/** The first `length` characters, never half of a pair of surrogates, and whether there is more. */
export function cut(text: string, length: number): { text: string; more: boolean } {
  if (text.length <= length) return { text, more: false };
  const last = text.charCodeAt(length - 1);
  return { text: text.slice(0, last >= 0xd800 && last < 0xdc00 ? length - 1 : length), more: true };
}
