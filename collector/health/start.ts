/**
 * Starts what lets others look at the collector while it runs.
 *
 * @module
 */
import { randomUUID } from "node:crypto";
import process from "node:process";
import type { Log } from "../problems.ts";
import { type Listener, type Listening, serve } from "../serve.ts";
import { type Identity, requestOf } from "./figure.ts";
import { createFigures, type Watched } from "./figures.ts";
import { healthPages } from "./pages.ts";

/** What was asked for. */
export interface HealthOptions {
  readonly health: Listener | null;
  readonly selfMetrics: boolean;
}

/** What was started. */
export interface Watch {
  /** Ends it at once. */
  close(): void;
}

/**
 * Listens where that was asked for, and says where that is.
 *
 * @throws Error when an address can't be listened at.
 */
export async function startHealth(
  watched: Watched,
  { health, selfMetrics }: HealthOptions,
  log: Log,
): Promise<Watch> {
  const servers: Listening[] = [];
  const figures = createFigures(watched);
  const identity = createIdentity();
  if (selfMetrics) watched.pipeline.own = () => requestOf(figures, identity);
  if (health !== null) {
    const server = await serve(health, healthPages(watched, figures, identity));
    log("info", `health is served at ${server.url}/healthz, /readyz and /metrics`);
    servers.push(server);
  }
  return {
    close(): void {
      for (const server of servers) server.close();
    },
  };
}

function createIdentity(): Identity {
  const since = Date.now() - Math.round(process.uptime() * 1000);
  return { instance: randomUUID(), since: BigInt(since) * 1_000_000n };
}
