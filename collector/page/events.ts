/**
 * Server-sent events: what is new in the store, and which processes are alive.
 *
 * @module
 */
import type { ServerResponse } from "node:http";
import type { StoreState } from "../store/queries/types.ts";
import type { Asker } from "./asker.ts";
import type { LiveView } from "./live.ts";

/** What is new: changes when something was stored. */
export type News = Pick<StoreState, "lastSpan" | "lastLog" | "points">;

/** Whoever listens. */
export interface Events {
  /** Takes a client in; false when there are too many. */
  add(response: ServerResponse): boolean;
  close(): void;
}

/** Clients at the same time. */
export const MAX_CLIENTS = 16;
const NEWS_MS = 250;
const LIVE_MS = 1_000;
/** A client that has not taken so many bytes is given up; its browser comes again. */
const MAX_UNSENT_BYTES = 1 << 20;
/** Nor is one waited for that takes nothing for so long, milliseconds. */
const MAX_STUCK_MS = 30_000;

interface Client {
  readonly response: ServerResponse;
  /** Since when it takes nothing; 0: it does. */
  stuckSince: number;
  greeted: boolean;
}

/** Nothing is looked at while nobody listens. */
export function createEvents(asker: Asker, live: LiveView): Events {
  const clients = new Set<Client>();
  let timer: ReturnType<typeof setTimeout> | null = null;
  let lastNews = "";
  let lastLive = 0;
  let closed = false;
  let running = false;

  const send = (client: Client, text: string): void => {
    const { response } = client;
    const now = performance.now();
    const isStuck = client.stuckSince > 0 && now - client.stuckSince > MAX_STUCK_MS;
    if (isStuck || response.writableLength > MAX_UNSENT_BYTES) {
      clients.delete(client);
      response.destroy();
    } else if (!response.write(text) && client.stuckSince === 0) {
      client.stuckSince = now;
      response.once("drain", () => {
        client.stuckSince = 0;
      });
    }
  };
  const turn = async (): Promise<void> => {
    const reply = await asker.ask(["state"]);
    let news = lastNews;
    if (reply.kind === "answer") {
      const { lastSpan, lastLog, points } = JSON.parse(
        new TextDecoder().decode(reply.body),
      ) as StoreState;
      news = JSON.stringify({ lastSpan, lastLog, points } satisfies News);
    }
    const isNews = news !== lastNews;
    lastNews = news;
    const now = performance.now();
    const newcomers = [...clients].some(({ greeted }) => !greeted);
    const isTime = now - lastLive >= LIVE_MS - NEWS_MS / 2;
    const state = isTime || newcomers
      ? `event: live\ndata: ${JSON.stringify(await live.look())}\n\n`
      : "";
    if (isTime) lastLive = now;
    for (const client of [...clients]) {
      const told = (isNews || !client.greeted) && news !== ""
        ? `event: news\ndata: ${news}\n\n`
        : "";
      const text = told + (isTime || !client.greeted ? state : "");
      client.greeted = true;
      if (text !== "") send(client, text);
    }
  };
  const run = (): void => {
    timer = null;
    running = clients.size > 0 && !closed;
    if (!running) return;
    const started = performance.now();
    turn().catch(() => {}).finally(() => {
      timer = setTimeout(run, Math.max(20, NEWS_MS - (performance.now() - started)));
      timer.unref();
    });
  };

  return {
    add(response) {
      if (clients.size >= MAX_CLIENTS || closed) return false;
      const client: Client = { response, stuckSince: 0, greeted: false };
      response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
      // So that whoever listens knows at once that it is heard.
      response.write("retry: 2000\n\n");
      const leave = (): void => {
        clients.delete(client);
      };
      response.on("close", leave).on("error", leave);
      clients.add(client);
      if (!running) run();
      return true;
    },
    close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
      for (const { response } of clients) response.destroy();
      clients.clear();
    },
  };
}
