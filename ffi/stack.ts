/**
 * The stack of an error that is about to kill the process.
 *
 * @module
 */

const bun = (globalThis as {
  Bun?: { inspect(value: unknown, options: { colors: boolean }): string };
}).Bun;

/**
 * The stack as its text, without a trace on the error. In Bun, reading `stack` makes a string of
 * what the runtime knows, and an error that is shown afterwards has other columns and fewer frames;
 * `Bun.inspect` leaves it alone, and says the same between the lines of source it quotes.
 */
export function stackOf(error: Error): string | undefined {
  return (bun && framesOf(bun.inspect(error, { colors: false }), error)) ?? error.stack;
}

/** The frames behind the message; undefined where there are none, as with an AggregateError. */
function framesOf(shown: string, error: Error): string | undefined {
  const head = shown.indexOf(`${error.message}\n`);
  if (head < 0) return undefined;
  const frames = /(?:^ {6}at .*\n?)+/m.exec(shown.slice(head + error.message.length + 1));
  if (frames === null) return undefined;
  return `${String(error)}\n${frames[0].trimEnd().replace(/^ +/gm, "    ")}`;
}
