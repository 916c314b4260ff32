/**
 * What the collector says by itself.
 *
 * @module
 */
import { useEffect, useState } from "preact/hooks";
import type { Live } from "../../live-types.ts";
import type { News } from "./answers.ts";

type Listener = (kind: "news" | "live" | "state") => void;

let source: EventSource | undefined;
let news: News | undefined;
let live: Live | undefined;
let connected = false;
const listeners = new Set<Listener>();

function tell(kind: "news" | "live" | "state"): void {
  listeners.forEach((listener) => listener(kind));
}

function connect(): void {
  if (source) return;
  source = new EventSource("/api/events");
  source.addEventListener("open", () => {
    connected = true;
    tell("state");
  });
  source.addEventListener("error", () => {
    connected = false;
    tell("state");
    // The browser tries again by itself, unless it was refused.
    if (source?.readyState === EventSource.CLOSED) {
      source = undefined;
      setTimeout(() => listeners.size > 0 && connect(), 5000);
    }
  });
  source.addEventListener("news", (event) => {
    news = JSON.parse((event as MessageEvent<string>).data) as News;
    tell("news");
  });
  source.addEventListener("live", (event) => {
    live = JSON.parse((event as MessageEvent<string>).data) as Live;
    tell("live");
  });
}

function useEvents<T>(kind: "news" | "live" | "state", read: () => T): T {
  const [value, setValue] = useState(read);
  useEffect(() => {
    connect();
    const listener: Listener = (told) => told === kind && setValue(read);
    listeners.add(listener);
    setValue(read);
    return () => {
      listeners.delete(listener);
    };
  }, [kind]);
  return value;
}

/** Numbers of the newest records; undefined until the collector said so. */
export function useNews(): News | undefined {
  return useEvents("news", () => news);
}

/** The processes, each second. */
export function useLive(): Live | undefined {
  return useEvents("live", () => live);
}

/** Is the collector heard? */
export function useConnected(): boolean {
  return useEvents("state", () => connected);
}

function stamp(): string {
  return news ? `${news.lastSpan} ${news.lastLog} ${news.points}` : "";
}

/**
 * A number that grows when there is news, at most once in `everyMs`, and only while the page is looked
 * at and `on`.
 */
export function useVersion(on: boolean, everyMs = 2000): number {
  const [version, setVersion] = useState(0);
  useNews();
  useEffect(() => {
    if (!on) return;
    let seen = stamp();
    const timer = setInterval(() => {
      if (document.visibilityState !== "visible" || stamp() === seen) return;
      seen = stamp();
      setVersion((before) => before + 1);
    }, everyMs);
    return () => clearInterval(timer);
  }, [on, everyMs]);
  return version;
}
