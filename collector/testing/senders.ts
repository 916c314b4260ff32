/**
 * Senders for tests: impatient, and with what they say kept.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createSender, type Sender, type SenderOptions } from "../send/send.ts";
import { until } from "./run.ts";
import { cleanups } from "./servers.ts";

/** Something to send. */
export const BODY: Buffer = Buffer.from("a request".repeat(1000));

/** A sender, and its lines: level and message. */
export type ToldSender = Sender & { readonly lines: string[] };

/** Makes one, of traces unless something else is said, that is closed when the tests of the file are done. */
export function startSender(url: string, more: Partial<SenderOptions> = {}): ToldSender {
  const lines: string[] = [];
  const sender = createSender({
    signal: "traces",
    url,
    backoff: { initialMs: 10, maxMs: 40, factor: 1.5, jitter: 0.5 },
    log: (level, message) => void lines.push(`${level} ${message}`),
    ...more,
  });
  cleanups.push(() => sender.close());
  return Object.assign(sender, { lines });
}

/** Sends until the sender has said something about it, then gives up; returns what it said. */
export async function complaint(url: string, more: Partial<SenderOptions> = {}): Promise<string> {
  const sender = startSender(url, more);
  const sending = sender.send(BODY, 3);
  await until("the sender says something", () => sender.lines.length > 0);
  sender.abort("enough");
  const [said = "nothing said"] = sender.lines;
  const nothing = { accepted: 0, rejected: 0, dropped: 3, reason: "enough", gaveUp: true };
  assert.deepEqual(await sending, nothing, said);
  return said;
}
