/**
 * How the page shows a large trace: the time until its rows are there, and the frames while it is
 * scrolled and while a key is held, in Chromium without a graphics card.
 *
 *     OTLP_MMAP_CHROMIUM=/usr/bin/chromium deno task bench page [--quick] [--spans N]
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import type { Page } from "playwright-core";
import { CHROMIUM, startBrowser } from "../collector/page/testing/browser.ts";
import { makeData } from "../collector/page/testing/data.ts";
import { startFake } from "../collector/page/testing/fake.ts";
import { heading, median, row } from "./support/statistics.ts";

const { values } = parseArgs({
  args: process.argv.slice(2),
  options: { quick: { type: "boolean", default: false }, spans: { type: "string" } },
});
const spans = Number(values.spans ?? 10_000);
const seconds = values.quick ? 3 : 8;

if (CHROMIUM === undefined) {
  console.error(
    "no Chromium: set OTLP_MMAP_CHROMIUM to the path of one (apt-get install chromium)",
  );
  process.exit(2);
}

/** Times between frames, ms, while `move` is called before each. */
function frames(page: Page, pixels: number): Promise<number[]> {
  return page.evaluate(([pixels, ms]) => {
    const list = document.querySelector(".waterfall")!;
    const times: number[] = [];
    return new Promise<number[]>((resolve) => {
      let direction = 1;
      let before = performance.now();
      const end = before + ms!;
      const frame = (now: number): void => {
        times.push(now - before);
        before = now;
        if (now >= end) {
          resolve(times.slice(1));
          return;
        }
        const bottom = list.scrollHeight - list.clientHeight;
        if (list.scrollTop + direction * pixels! > bottom) direction = -1;
        if (list.scrollTop + direction * pixels! < 0) direction = 1;
        list.scrollTop += direction * pixels!;
        requestAnimationFrame(frame);
      };
      requestAnimationFrame(frame);
    });
  }, [pixels, seconds * 1000]);
}

function report(name: string, times: readonly number[]): void {
  const sorted = times.toSorted((a, b) => a - b);
  const sum = times.reduce((total, time) => total + time, 0);
  const at = (share: number): number => sorted[Math.floor((sorted.length - 1) * share)]!;
  console.log(row([
    name,
    (times.length / sum * 1000).toFixed(1),
    median([...times]).toFixed(1),
    at(0.99).toFixed(1),
    String(times.filter((time) => time > 20.5).length),
    String(times.length),
  ]));
}

const fake = await startFake(makeData({ seed: 1, nowMs: Date.now(), big: spans }));
const browser = await startBrowser();
try {
  const page = await browser.context.newPage();
  const begun = performance.now();
  await page.goto(`${fake.url}/#/traces/${fake.data.big}`);
  await page.waitForSelector(".row");
  console.log(`${spans} spans: rows are there after ${Math.round(performance.now() - begun)} ms\n`);
  console.log(
    heading(["scrolling, a frame", "frames/s", "median ms", "p99 ms", "over 20 ms", "frames"]),
  );
  for (const pixels of [30, 120, 1000, 10_000]) {
    report(`${pixels} pixels`, await frames(page, pixels));
  }
} finally {
  await browser.close();
  await fake.close();
}
