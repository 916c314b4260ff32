/**
 * Asks the API of a collector that has a store: how long answers take, whole and as text, and how long
 * the thread that drains rings was held up meanwhile.
 *
 * @module
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type RuntimeName, start } from "../support/processes.ts";
import { traceIdOf } from "./load.ts";

/** How long answers took, milliseconds, by question; and the longest that the health page took. */
export interface ApiTimes {
  readonly asked: Readonly<Record<string, readonly number[]>>;
  readonly slowestRound: number;
}

const REPEATS = 9;
/** Between two looks at whether the collector's main thread answers. */
const PULSE_MS = 5;

/** @param spans How many the store has. */
export async function askApi(
  runtime: RuntimeName,
  directory: string,
  spans: number,
): Promise<ApiTimes> {
  const files = join(directory, "files");
  mkdirSync(files);
  const said: string[] = [];
  const collector = start(runtime, "collector/main.ts", [
    ...["collect", files, "--store", join(directory, "store.db"), "--store-max-size", "100GiB"],
    ...["--store-max-age", "10000d", "--ui", "--ui-port", "0", "--health", "0"],
  ], { onError: (line) => said.push(line) });
  try {
    const find = (pattern: RegExp): string | undefined =>
      said.map((line) => pattern.exec(line)?.[1]).find((found) => found !== undefined);
    while (find(/^page: (\S+)/) === undefined) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const address = new URL(find(/^page: (\S+)/)!);
    const health = find(/served at (\S+\/healthz)/)!;
    const headers = { authorization: `Bearer ${address.searchParams.get("token")}` };
    const middle = Math.floor(spans / 16);
    const attribute = (text: string): string => `spans?attribute=${encodeURIComponent(text)}`;
    const questions: Record<string, (each: number) => string> = {
      "trace by id": (each) => `traces/${traceIdOf(middle + each * 101)}`,
      "newest spans": () => "spans",
      "service": () => "spans?service=payments",
      "rare attribute value": (each) =>
        attribute(`user.id="user-${((middle + each) * 31) % 100_000}"`),
      "common attribute value": () => attribute('http.request.method="POST"'),
      "status": () => "spans?status=error",
      "duration": () => "spans?minDurationNs=40990000",
      "newest traces": () => "traces?limit=50",
      "scatter of 5,000": () => "scatter?service=orders",
      "overview of everything": () => "overview",
    };
    let slowestRound = 0;
    let over = false;
    const pulse = (async () => {
      while (!over) {
        const from = performance.now();
        await (await fetch(health)).text();
        slowestRound = Math.max(slowestRound, performance.now() - from);
        await new Promise((resolve) => setTimeout(resolve, PULSE_MS));
      }
    })();
    const asked: Record<string, number[]> = {};
    for (const [name, question] of Object.entries(questions)) {
      asked[name] = [];
      for (let i = 0; i < REPEATS; i++) {
        const from = performance.now();
        const response = await fetch(`${address.origin}/api/${question(i)}`, { headers });
        const text = await response.text();
        asked[name].push(performance.now() - from);
        if (response.status !== 200 || text.length < 100) throw new Error(`${name}: ${text}`);
      }
    }
    over = true;
    await pulse;
    return { asked, slowestRound };
  } finally {
    await collector.stop("SIGTERM");
  }
}
