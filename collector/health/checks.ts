/**
 * Is the collector alive, and is it of use: what `/healthz` and `/readyz` answer.
 *
 * @module
 */
import type { Page } from "../serve/serve.ts";
import { PLAIN } from "../serve/serve.ts";
import { SIGNALS } from "../pipeline/signals.ts";
import { printable } from "../text/text.ts";
import type { Watched } from "./figures.ts";

/** A collector whose last round is longer ago has got stuck. */
const STUCK_MS = 10_000;

/** 200 while rounds are finished. */
export function checkAlive({ pipeline }: Watched): Page {
  const ago = performance.now() - pipeline.turnedAt;
  if (ago <= STUCK_MS) return page([]);
  return page([`the last round ended ${Math.round(ago / 1000)} s ago`]);
}

/**
 * 200 when files are looked for, spool and journal are where they were, and each backend took the last
 * request of each signal, if any. A signal that a backend does not take, while it takes others, is named and no
 * reason not to be ready.
 */
export function checkReady({ pipeline, sinks, spool }: Watched): Page {
  const reasons = pipeline.looking ? [] : ["files are not looked for"];
  const spools = new Set(spool ? [spool] : []);
  const notes: string[] = [];
  for (const signal of SIGNALS) {
    const { endpoints = [] } = sinks[signal];
    endpoints.forEach(({ name, state, spool }, index) => {
      if (spool !== undefined) spools.add(spool);
      if (state === undefined || state.ok) return;
      const where = endpoints.length === 1 ? signal : `${signal} to ${name}`;
      const line = `${where}: ${state.lastError} (failed attempts: ${state.failures})`;
      // The same endpoint with another signal.
      const isOfUse = SIGNALS.some((each) => sinks[each].endpoints?.[index]?.state?.takes === true);
      (state.takes === false && isOfUse ? notes : reasons).push(line);
    });
  }
  for (const spool of spools) {
    const { error } = spool.check();
    if (error !== undefined) reasons.push(`the spool ${printable(spool.folder, 200)}: ${error}`);
  }
  if (pipeline.journalProblem !== null) reasons.push(pipeline.journalProblem);
  return page(reasons, notes);
}

function page(reasons: readonly string[], notes: readonly string[] = []): Page {
  const ok = reasons.length === 0;
  const lines = [...(ok ? ["ok"] : reasons), ...notes];
  return { status: ok ? 200 : 503, type: PLAIN, body: `${lines.join("\n")}\n` };
}
