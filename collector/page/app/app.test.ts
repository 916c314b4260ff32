/**
 * The page in a real browser, over made-up data: what tests/page.test.ts can't have real services do, a
 * phone's width, and the keyboard. Registered where OTLP_MMAP_CHROMIUM names a Chromium.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import type { Page } from "playwright-core";
import {
  axeViolations,
  type Browser,
  CHROMIUM,
  picture,
  startBrowser,
  tooWide,
  watch,
} from "../testing/browser.ts";
import { assetsModule, bundlePage } from "../../../tools/page.ts";
import { assets } from "../gen/assets.ts";
import { HOSTILE, makeData } from "../testing/data.ts";
import { type Fake, startFake } from "../testing/fake.ts";

/** Goes to a view as somebody does who was sent its address. */
async function open(page: Page, fake: Fake, address: string, ready: string): Promise<void> {
  // The address after # alone would not load the page anew.
  await page.goto("about:blank");
  await page.goto(`${fake.url}/#${address}`);
  await page.waitForSelector(ready);
  await page.waitForSelector(".connection.on");
  await page.waitForFunction(() => !document.querySelector(".loading"));
}

function count(page: Page, selector: string): Promise<number> {
  return page.locator(selector).count();
}

/** Each view: its address, and what is there once it is. */
function views(fake: Fake): Record<string, [address: string, ready: string]> {
  const { big, crashed, growing, hostile, interrupted } = fake.data;
  const other = fake.data.spans.find(({ name }) => name === "POST /checkout")!.traceId;
  return {
    overview: ["/", ".map svg"],
    traces: ["/traces", ".trace"],
    trace: [`/traces/${interrupted}?span=${spanOf(fake, "charge card")}`, ".details"],
    "trace-of-10000": [`/traces/${big}`, ".row"],
    "trace-hostile": [`/traces/${hostile}`, ".row"],
    "trace-open": [`/traces/${growing}`, ".row.open"],
    compare: [`/compare/${other}/${interrupted}`, ".difference"],
    logs: ["/logs", ".log"],
    "metric-sum": ["/metrics/2", ".legend"],
    "metric-heat-map": ["/metrics/3", ".percentiles"],
    "metric-hostile": ["/metrics/10", ".legend"],
    crashes: ["/crashes", ".crashes li"],
    crash: [`/crashes/${crashed}`, ".tracks"],
    nowhere: ["/nowhere", ".empty"],
  };
}

function spanOf({ data }: Fake, name: string): string {
  return data.spans.find((span) => span.traceId === data.interrupted && span.name === name)!.spanId;
}

if (CHROMIUM !== undefined) {
  describe("page in Chromium", { timeout: 600_000 }, () => {
    let fake: Fake;
    let browser: Browser;
    before(async () => {
      fake = await startFake(makeData({ seed: 7, nowMs: Date.now() }));
      browser = await startBrowser();
    });
    after(async () => {
      await browser?.close();
      await fake?.close();
    });

    /** Runs with a page of its own, which must do nothing that it must not. */
    async function on(run: (page: Page) => Promise<void>): Promise<void> {
      const { page, wrongs } = await watch(browser.context, fake.url);
      try {
        await run(page);
        assert.deepEqual(wrongs, []);
        assert.notEqual(await page.title(), "owned");
      } finally {
        await page.close();
      }
    }

    // Wide, most of them are looked at over real data (tests/page.test.ts).
    const extreme = ["trace-of-10000", "trace-hostile", "metric-hostile", "nowhere"];
    for (const [look, width] of [["light", 1360], ["dark", 1360], ["narrow", 390]] as const) {
      const shown = look === "narrow" ? "every view" : "what only made-up data has";
      it(`shows ${shown}, ${look}: nothing wrong, too wide, or found by axe`, () =>
        on(async (page) => {
          await page.emulateMedia({ colorScheme: look === "dark" ? "dark" : "light" });
          await page.setViewportSize({ width, height: 860 });
          for (const [name, [address, ready]] of Object.entries(views(fake))) {
            if (look !== "narrow" && !extreme.includes(name)) continue;
            await open(page, fake, address, ready);
            await picture(page, `${name}-${look}`, look === "narrow");
            // The same document in a narrow window: axe takes a second for each view.
            if (look !== "narrow") assert.deepEqual(await axeViolations(page), [], name);
            assert.ok(await tooWide(page) <= 0, `${name} is too wide`);
          }
        }));
    }

    it("loads more, and says what to do when nothing fits", () =>
      on(async (page) => {
        await open(page, fake, "/traces", ".trace");
        assert.equal(await count(page, ".trace"), 50);
        await page.getByRole("button", { name: "Load more" }).click();
        await page.waitForFunction(() => document.querySelectorAll(".trace").length === 100);
        await open(page, fake, "/traces?name=nothing-is-called-so", ".empty");
        await page.getByRole("link", { name: "Drop all conditions" }).click();
        await page.waitForSelector(".trace");
        await page.getByLabel("At least").fill("soon");
        await page.getByLabel("At least").press("Enter");
        await page.waitForSelector("form [role=alert]");
      }));

    it("walks a list of traces and the spans of one by the keyboard", () =>
      on(async (page) => {
        await open(page, fake, "/traces?name=checkout", ".trace");
        await page.keyboard.press("j");
        await page.keyboard.press("j");
        await page.keyboard.press("k");
        await page.keyboard.press("ArrowDown");
        const href = await page.locator(".trace").nth(1).getAttribute("href");
        assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("href")), href);
        await page.keyboard.press("Enter");
        await page.waitForSelector(".row");
        await page.getByRole("tree").focus();
        await page.keyboard.press("ArrowDown");
        await page.keyboard.press("ArrowDown");
        await page.waitForSelector(".details");
        assert.equal(await page.locator(".row.selected").getAttribute("aria-level"), "2");
        const rows = await count(page, ".row");
        await page.keyboard.press("Home");
        await page.keyboard.press("ArrowLeft");
        await page.waitForFunction(() => document.querySelectorAll(".row").length === 1);
        await page.keyboard.press("ArrowRight");
        await page.waitForFunction(
          (rows) => document.querySelectorAll(".row").length === rows,
          rows,
        );
        await page.keyboard.press("/");
        await page.keyboard.type("customer.id");
        await page.waitForSelector(".row.found");
        await page.keyboard.press("Enter");
        await page.waitForURL(/q=customer.id/);
        await page.keyboard.press("Tab");
        await page.keyboard.press("Escape");
        await page.waitForFunction(() => !document.querySelector(".details"));
      }));

    it("leads from a link of a span to what it names", () =>
      on(async (page) => {
        const id = spanOf(fake, "POST /orders");
        await open(page, fake, `/traces/${fake.data.interrupted}?span=${id}`, ".details");
        await page.locator(".links a").click();
        await page.waitForURL(new RegExp(fake.data.big));
      }));

    it("zooms by the map of a trace", () =>
      on(async (page) => {
        await open(page, fake, `/traces/${fake.data.interrupted}`, ".row");
        const box = (await page.locator(".minimap").boundingBox())!;
        await page.mouse.move(box.x + box.width * 0.5, box.y + 20);
        await page.mouse.down();
        await page.mouse.move(box.x + box.width * 0.7, box.y + 20, { steps: 4 });
        await page.mouse.up();
        await page.waitForURL(/zoom=/);
        await page.getByRole("button", { name: "Whole trace" }).click();
        await page.waitForFunction(() => !location.hash.includes("zoom="));
      }));

    it("keeps the rows of 10,000 spans few, and shows the last one", () =>
      on(async (page) => {
        await open(page, fake, `/traces/${fake.data.big}`, ".row");
        assert.ok(await count(page, ".row") < 150);
        await page.getByRole("tree").focus();
        await page.keyboard.press("End");
        await page.waitForFunction(() =>
          document.querySelector(".row.selected")?.getAttribute("id")?.endsWith("-9999")
        );
        assert.ok(await count(page, ".row") < 150);
      }));

    it("zooms into the times of logs", () =>
      on(async (page) => {
        await open(page, fake, "/logs", ".log-times rect");
        const box = (await page.locator(".log-times .bars").boundingBox())!;
        await page.mouse.move(box.x + box.width * 0.3, box.y + 30);
        await page.mouse.down();
        await page.mouse.move(box.x + box.width * 0.6, box.y + 30, { steps: 4 });
        await page.mouse.up();
        await page.waitForURL(/from=\d+&to=\d+/);
      }));

    it("shows hostile texts as text, long ones cut with the rest on request", () =>
      on(async (page) => {
        await open(page, fake, `/traces/${fake.data.hostile}`, ".row");
        assert.equal(await count(page, "main script, main img, main b > u"), 0);
        for (let i = 0; i < HOSTILE.length; i++) {
          await page.locator(".row").nth(i).click();
          await page.waitForSelector(".row.selected");
        }
        const text = await page.locator(".details").innerText();
        assert.ok(text.length < 30_000, `${text.length} characters`);
        const button = page.locator(".details button", { hasText: "show all" }).first();
        await button.click();
        await page.waitForFunction(
          (length) =>
            (document.querySelector(".details") as HTMLElement).textContent!.length > length,
          1_200_000,
        );
        assert.ok((await page.locator(".row").first().innerText()).includes("<script>"));
        await open(page, fake, "/logs?service=%3Cb%3Erude%3C%2Fb%3E", ".log");
        await page.locator(".log-open").first().click();
        await page.waitForSelector(".log-fields");
      }));

    it("is light or dark as chosen, also after a reload", () =>
      on(async (page) => {
        await open(page, fake, "/crashes", ".crashes li");
        const ground = (): Promise<string> =>
          page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
        const before = await ground();
        await page.getByLabel("Colours").selectOption("dark");
        assert.notEqual(await ground(), before);
        await open(page, fake, "/crashes", ".crashes li");
        assert.notEqual(await ground(), before);
        await page.getByLabel("Colours").selectOption("system");
        assert.equal(await ground(), before);
      }));

    it("begins its keyboard path with a way past the head", () =>
      on(async (page) => {
        await open(page, fake, "/crashes", ".crashes li");
        await page.keyboard.press("Tab");
        assert.equal(
          await page.evaluate(() => document.activeElement?.textContent),
          "Skip to content",
        );
        await page.keyboard.press("Enter");
        await page.keyboard.press("Tab");
        assert.equal(
          await page.evaluate(() => document.activeElement?.closest(".crashes") !== null),
          true,
        );
        assert.match(page.url(), /#\/crashes$/);
      }));
  });
}

describe("page", () => {
  it("has all it names in the bundle, and nothing in its document that a policy would refuse", () => {
    const { text } = assets.get("/")!;
    const named = [...text.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, path]) => path!);
    assert.deepEqual(
      named.toSorted(),
      [...assets.keys()].filter((path) => path !== "/").toSorted(),
    );
    assert.doesNotMatch(text, /<style|style=|<script[^>]*>[^<]| on[a-z]+=|https?:/);
  });

  it("is in the bundle as its sources have it", () => {
    assert.equal(
      readFileSync(new URL("../gen/assets.ts", import.meta.url), "utf8"),
      assetsModule(bundlePage()),
    );
  });
});
