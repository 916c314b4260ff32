/**
 * Starts what lets others look at the collector, and at metrics, while it runs.
 *
 * @module
 */
import { randomUUID } from "node:crypto";
import process from "node:process";
import { type Identity, requestOf } from "../health/figure.ts";
import { createFigures, type Watched } from "../health/figures.ts";
import { healthPages } from "../health/pages.ts";
import type { Log } from "../send/problems.ts";
import { applicationPages } from "../prometheus/applications.ts";
import { type Listener, type Listening, serve } from "./serve.ts";

/** What was asked for. */
export interface ServerOptions {
  readonly health: Listener | null;
  readonly prometheus: Listener | null;
  readonly selfMetrics: boolean;
}

/** What was started. */
export interface Servers {
  /** Ends it at once. */
  close(): void;
}

/**
 * Listens where that was asked for, and says where that is.
 *
 * @throws Error when an address can't be listened at.
 */
export async function startServers(
  watched: Watched,
  { health, prometheus, selfMetrics }: ServerOptions,
  log: Log,
): Promise<Servers> {
  const { pipeline } = watched;
  const figures = createFigures(watched);
  const identity = createIdentity();
  const servers: Listening[] = [];
  if (health !== null) {
    const server = await serve(health, healthPages(watched, figures, identity));
    servers.push(server);
    log("info", `health is served at ${server.url}/healthz, /readyz and /metrics`);
  }
  if (prometheus !== null) {
    const server = await serve(prometheus, applicationPages(pipeline, log));
    servers.push(server);
    log("info", `metrics of applications are served at ${server.url}/metrics`);
  }
  if (selfMetrics) pipeline.own = () => requestOf(figures, identity);
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
