/**
 * All that shows what a collector has stored and sees: notes what is lost and who died, and serves the
 * page.
 *
 * @module
 */
import { rmSync, writeFileSync } from "node:fs";
import process from "node:process";
import packageJson from "../../package.json" with { type: "json" };
import type { FollowedFile } from "../files/follow.ts";
import type { Destination } from "../options/destinations.ts";
import { parseTarget } from "../options/endpoint.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { Log } from "../send/problems.ts";
import type { Listener } from "../serve/serve.ts";
import { createDeathRecorder } from "../store/deaths.ts";
import { createLossRecorder } from "../store/losses.ts";
import type { Store } from "../store/store.ts";
import type { LogFormat } from "../text/log.ts";
import { clearLine } from "../text/status-line.ts";
import { type Asker, createAsker } from "./asker.ts";
import { loadAssets } from "./assets.ts";
import { createLive } from "./live.ts";
import { createResourceIds } from "./resource-ids.ts";
import { type PageServer, servePage } from "./server.ts";

/** What the page says of the collector. */
export interface Surroundings {
  readonly destinations: Readonly<Record<string, readonly Pick<Destination, "url">[]>> | null;
  readonly receivers: readonly string[];
}

/** Where and how things are said. */
export interface Said {
  readonly log: Log;
  readonly format: LogFormat;
}

/** What shows a store. */
export interface Showing {
  /** To be called with each file before it is closed. */
  noteFile(file: FollowedFile): void;
  /** Serves the page, and says where; where that can't be, says so, and all else goes on. */
  serve(listener: Listener, surroundings: () => Surroundings, said: Said): Promise<void>;
  close(): void;
}

const LOSSES_MS = 1_000;

/** @param pipeline Once there is one. */
export function createShowing(store: Store, pipeline: () => Pipeline): Showing {
  const losses = createLossRecorder(store);
  const deaths = createDeathRecorder(store);
  const asker: Asker = createAsker(store.path);
  const ids = createResourceIds(asker);
  const live = createLive(pipeline, ids);
  const timer = setInterval(() => {
    for (const { files } of pipeline().files.processes.values()) files.forEach(losses.note);
    losses.flush();
    deaths.flush();
  }, LOSSES_MS);
  timer.unref();
  let server: PageServer | null = null;
  let tokenFile: string | null = null;

  return {
    noteFile(file) {
      losses.note(file);
      deaths.note(file);
      live.noteFile(file);
    },
    async serve(listener, surroundings, { format, log }) {
      const startedAt = Math.round(Date.now() - process.uptime() * 1_000);
      const about = () => {
        const { destinations, receivers } = surroundings();
        const urls = Object.values(destinations ?? {}).flat().map(({ url }) =>
          parseTarget(url).url
        );
        return {
          version: packageJson.version,
          startedAt,
          endpoints: [...new Set(urls)],
          receivers,
        };
      };
      try {
        const sources = { asker, pipeline: pipeline(), ids, live, about };
        server = await servePage(listener, sources, loadAssets());
      } catch (error) {
        log("error", `${(error as Error).message}. No page is served; all else goes on`);
        return;
      }
      // The thread is there, and knows the store, before somebody waits for it.
      void asker.ask(["state"]);
      if (format === "text") announce(server);
      else tokenFile = writeAddress(server, `${store.path}.page`, log);
    },
    close() {
      clearInterval(timer);
      server?.close();
      if (tokenFile !== null) rmSync(tokenFile, { force: true });
      asker.close();
      losses.flush();
      deaths.flush();
    },
  };
}

/** Says where the page is to whoever started it: the one line that has the token. */
function announce({ token, url }: PageServer): void {
  clearLine();
  process.stderr.write(`page: ${url}?token=${token}\n`);
}

/** Lines of JSON are kept by others: the token goes into a file that only this user can read. */
function writeAddress({ token, url }: PageServer, path: string, log: Log): string | null {
  try {
    rmSync(path, { force: true });
    writeFileSync(path, `${url}?token=${token}\n`, { flag: "wx", mode: 0o600 });
    log("info", `the page is served at ${url}; its address with the token is in ${path}`);
    return path;
  } catch (error) {
    log("error", `the address of the page can't be written: ${(error as Error).message}`);
    return null;
  }
}
