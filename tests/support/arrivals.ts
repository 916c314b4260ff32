/**
 * What a backend gets of collectors that are killed: what may come again, and what may not.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { MOST_FAR } from "../../collector/delivery/drainer.ts";
import { forEachSignal, SIGNALS } from "../../collector/pipeline/signals.ts";
import type { Signal } from "../../lib/otlp/request.ts";
import type { Backend } from "./backend.ts";

/**
 * As many requests of a signal are on their way at most: sent, and not yet marked as done in the spool. Sums
 * are never overtaken; of others there are several while the endpoint is slow to answer.
 */
const ON_THE_WAY: Readonly<Record<Signal, number>> = {
  traces: MOST_FAR,
  metrics: 1,
  logs: MOST_FAR,
};

/**
 * Requests without those that came before. Only what was on its way when a collector was killed may come
 * again, and since requests leave in their order that is among the last that came before the kill.
 */
export class Arrivals {
  /** Collectors that were killed so far. */
  kills = 0;
  /** Requests that came again. */
  again = 0;
  private readonly seen = new Map<string, number>();
  /** The last that came, each once. */
  private readonly last = forEachSignal((): string[] => []);

  /** Those since it was asked last; fails where one came again that was not on its way. */
  take({ bodies }: Backend): Pick<Backend, "bodies"> {
    const fresh = { traces: [], metrics: [], logs: [] } as Record<
      keyof Backend["bodies"],
      Uint8Array[]
    >;
    for (const signal of SIGNALS) {
      const last = this.last[signal];
      for (const body of bodies[signal].splice(0)) {
        const hash = `${signal} ${createHash("sha1").update(body).digest("base64")}`;
        const before = this.seen.get(hash);
        if (before === undefined) fresh[signal].push(body);
        else {
          assert.ok(before < this.kills, `the same ${signal} came twice from one collector`);
          const { length } = last;
          const behind = length - last.indexOf(hash);
          assert.ok(
            behind <= ON_THE_WAY[signal],
            `${signal} came again that ${behind <= length ? behind : "many"} requests ago had come`,
          );
          this.again++;
        }
        this.seen.set(hash, this.kills);
        if (last.includes(hash)) continue;
        last.push(hash);
        if (last.length > ON_THE_WAY[signal]) last.shift();
      }
    }
    return { bodies: fresh };
  }
}
