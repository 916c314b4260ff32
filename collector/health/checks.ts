/**
 * Is the collector alive, and is it of use: what `/healthz` and `/readyz` answer.
 *
 * @module
 */
import type { Page } from "../serve/serve.ts";
import { PLAIN } from "../serve/serve.ts";
import { SIGNALS } from "../pipeline/signals.ts";
import type { Watched } from "./figures.ts";

/** A collector whose last round is longer ago has got stuck. */
const STUCK_MS = 10_000;

/** 200 while rounds are finished. */
export function checkAlive({ pipeline }: Watched): Page {
  const ago = performance.now() - pipeline.turnedAt;
  if (ago <= STUCK_MS) return page([]);
  return page([`the last round ended ${Math.round(ago / 1000)} s ago`]);
}

/** 200 when files are looked for, and each backend took the last request of each signal, if any. */
export function checkReady({ pipeline, sinks }: Watched): Page {
  const reasons = pipeline.looking ? [] : ["files are not looked for"];
  for (const signal of SIGNALS) {
    const { endpoints = [] } = sinks[signal];
    for (const { name, state } of endpoints) {
      if (state === undefined || state.ok) continue;
      const where = endpoints.length === 1 ? signal : `${signal} to ${name}`;
      reasons.push(`${where}: ${state.lastError} (failed attempts: ${state.failures})`);
    }
  }
  return page(reasons);
}

function page(reasons: readonly string[]): Page {
  const ok = reasons.length === 0;
  return { status: ok ? 200 : 503, type: PLAIN, body: `${ok ? "ok" : reasons.join("\n")}\n` };
}
