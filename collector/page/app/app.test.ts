/**
 * The page in a real browser, over made-up data: every view, in light and dark, wide and narrow, with
 * mouse and keyboard. Registered where OTLP_MMAP_CHROMIUM names a Chromium.
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

    for (const [look, width] of [["light", 1360], ["dark", 1360], ["narrow", 390]] as const) {
      it(`shows every view, ${look}: nothing wrong, too wide, or found by axe`, () =>
        on(async (page) => {
          await page.emulateMedia({ colorScheme: look === "dark" ? "dark" : "light" });
          await page.setViewportSize({ width, height: 860 });
          for (const [name, [address, ready]] of Object.entries(views(fake))) {
            await open(page, fake, address, ready);
            await picture(page, `${name}-${look}`, look === "narrow");
            // The same document in a narrow window: axe takes a second for each view.
            if (look !== "narrow") assert.deepEqual(await axeViolations(page), [], name);
            const over = await page.evaluate(() =>
              document.documentElement.scrollWidth - document.documentElement.clientWidth
            );
            assert.ok(over <= 0, `${name} is ${over} pixels too wide`);
          }
        }));
    }

    it("goes from the overview to traces of a service, and back", () =>
      on(async (page) => {
        await open(page, fake, "/", ".map svg");
        await page.getByRole("region", { name: "Figures of services" }).getByText("payment")
          .first().click();
        await page.waitForSelector(".trace");
        assert.match(page.url(), /service=payment/);
        assert.equal(await page.getByLabel(/^Service/).inputValue(), "payment");
        await page.goBack();
        await page.waitForSelector(".map svg");
        assert.equal(await count(page, ".processes .dead"), 1);
        await page.getByText("Last seconds").click();
        await page.waitForSelector(".tracks");
      }));

    it("searches traces by all conditions, and has them in its address", () =>
      on(async (page) => {
        await open(page, fake, "/traces", ".trace");
        const all = await count(page, ".trace");
        await page.getByLabel("Status").selectOption("error");
        await page.waitForFunction((all) => document.querySelectorAll(".trace").length < all, all);
        await page.getByLabel("Attribute").fill("http.route=/checkout");
        await page.getByLabel("Attribute").press("Enter");
        await page.waitForSelector(".chip");
        await page.getByLabel("At least").fill("5ms");
        await page.getByLabel("At least").press("Enter");
        await page.getByLabel("Name contains").fill("checkout");
        await page.getByLabel("Name contains").press("Enter");
        await page.getByLabel("Roots only").check();
        await page.waitForURL(/root=true/);
        const hash = new URL(page.url()).hash;
        assert.match(hash, /status=error/);
        assert.match(hash, /attribute=http.route%3D%22%2Fcheckout%22/);
        assert.match(hash, /min=5ms/);
        assert.match(hash, /name=checkout/);
        await page.waitForFunction(() => !document.querySelector(".stale"));
        const found = await page.locator(".trace-name").allTextContents();
        assert.ok(
          found.length > 0 && found.every((text) => text.includes("POST /checkout")),
          `${found}`,
        );
        // Somebody who gets this address sees the same.
        await open(page, fake, hash.slice(1), ".trace");
        assert.deepEqual(await page.locator(".trace-name").allTextContents(), found);
        await page.getByLabel("Drop the condition").click();
        await page.waitForFunction(() => !document.querySelector(".chip"));
        await page.getByLabel("At least").fill("soon");
        await page.getByLabel("At least").press("Enter");
        await page.waitForSelector("form [role=alert]");
      }));

    it("loads more, and says what to do when nothing fits", () =>
      on(async (page) => {
        await open(page, fake, "/traces", ".trace");
        assert.equal(await count(page, ".trace"), 50);
        await page.getByRole("button", { name: "Load more" }).click();
        await page.waitForFunction(() => document.querySelectorAll(".trace").length === 100);
        await open(page, fake, "/traces?name=nothing-is-called-so", ".empty");
        await page.getByRole("link", { name: "Drop all conditions" }).click();
        await page.waitForSelector(".trace");
      }));

    it("selects a rectangle of the scatter as time and duration", () =>
      on(async (page) => {
        await open(page, fake, "/traces", ".u-over");
        const box = (await page.locator(".u-over").boundingBox())!;
        await page.mouse.move(box.x + box.width * 0.7, box.y + box.height * 0.2);
        await page.mouse.down();
        await page.mouse.move(box.x + box.width * 0.9, box.y + box.height * 0.8, { steps: 5 });
        await page.mouse.up();
        await page.waitForURL(/from=\d+.*min=.*max=/);
        await page.waitForSelector(".range-text");
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

    it("shows what a crash cut off, with its events, logs and links", () =>
      on(async (page) => {
        const id = spanOf(fake, "POST /orders");
        await open(page, fake, `/traces/${fake.data.interrupted}?span=${id}`, ".details");
        assert.equal(await count(page, ".row.cut"), 3);
        assert.ok(await count(page, ".critical") > 0);
        assert.ok(await count(page, ".row .log-mark") > 0);
        assert.match(
          await page.locator(".details .note.cut").innerText(),
          /died before this span ended/,
        );
        const link = await page.locator(".links a").getAttribute("href");
        assert.ok(link!.includes(fake.data.big));
        for (const name of ["OTLP", "Perfetto"]) {
          const href = await page.getByRole("link", { name }).getAttribute("href");
          assert.equal((await fetch(`${fake.url}${href}`)).status, 200);
        }
        await page.getByText("Last seconds of the process").click();
        await page.waitForSelector(".tracks");
      }));

    it("shows open spans, which grow", () =>
      on(async (page) => {
        await open(page, fake, "/traces", ".open-now a");
        await page.locator(".open-now a").first().click();
        await page.waitForSelector(".row.open");
        const took = (): Promise<string> => page.locator(".row.open .took").first().innerText();
        const first = await took();
        await page.waitForFunction((first) => {
          const text = (document.querySelector(".row.open .took") as HTMLElement | null)?.innerText;
          return text !== undefined && text !== first;
        }, first);
      }));

    it("chooses a trace to compare with", () =>
      on(async (page) => {
        const { traceId } = fake.data.spans.find(({ name }) => name === "POST /checkout")!;
        await open(page, fake, `/traces/${traceId}`, ".row");
        await page.getByRole("button", { name: "Compare…" }).click();
        await page.waitForSelector(".trace");
        await page.locator(".trace").nth(2).click();
        await page.waitForSelector(".difference");
        assert.equal(await count(page, ".waterfall"), 2);
        await page.locator(".waterfall").first().locator(".row").nth(1).click();
        assert.equal(await count(page, ".row.selected"), 2);
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

    it("follows the logs, pauses, filters, and goes to the trace and back", () =>
      on(async (page) => {
        await open(page, fake, "/logs", ".log");
        fake.log("a record that just came");
        await page.waitForSelector('.log:first-child:has-text("a record that just came")');
        await page.getByRole("button", { name: "Pause" }).click();
        fake.log("one while paused");
        await page.getByLabel("Severity").selectOption("17");
        await page.waitForFunction(() =>
          [...document.querySelectorAll(".log")].every((row) => row.matches(".error, .fatal"))
        );
        assert.equal(await count(page, '.log:has-text("one while paused")'), 0);
        await page.getByLabel("Text").fill("refused");
        await page.getByLabel("Text").press("Enter");
        await page.waitForURL(/text=refused/);
        await page.waitForFunction(() => !document.querySelector(".stale"));
        await page.locator(".log-open").first().click();
        await page.waitForSelector(".log-fields");
        await page.locator(".log-trace").first().click();
        await page.waitForSelector(".details");
        await page.getByText("Logs of this span").click();
        await page.waitForURL(/logs.*trace=/);
        await page.waitForSelector(".log");
        await page.getByText("Back to the trace").click();
        await page.waitForSelector(".details");
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

    it("hides series by the legend, and leads from an exemplar to its trace", () =>
      on(async (page) => {
        await open(page, fake, "/metrics/2", ".legend");
        const button = page.locator(".legend button").nth(1);
        await button.click();
        await page.waitForURL(/off=\d+/);
        assert.equal(await button.getAttribute("aria-pressed"), "false");
        await page.getByRole("button", { name: "Total" }).click();
        await page.waitForURL(/mode=value/);
        await page.getByRole("searchbox", { name: "Filter streams" }).fill("duration");
        await page.locator(".streams a").first().click();
        await page.waitForSelector(".percentiles");
        await page.locator(".exemplars summary").click();
        await page.locator(".exemplars a").first().click();
        await page.waitForSelector(".details");
      }));

    it("tells a crash on one axis: what was open, ended, logged, measured and lost", () =>
      on(async (page) => {
        await open(page, fake, "/crashes", ".crashes a");
        await page.locator(".crashes a").click();
        await page.waitForSelector(".tracks");
        const words = await page.locator(".last-words").innerText();
        assert.match(words, /POST \/orders\s*›\s*charge card\s*›\s*sign request/);
        assert.match(words, /heap limit reached/);
        assert.equal(await count(page, ".track .bar.cut"), 9);
        for (const part of [".lane-span", ".marks .log-mark", ".metric svg", ".losses li"]) {
          assert.ok(await count(page, part) > 0, part);
        }
        // All bars end where the process did.
        const ends = await page.locator(".track .bar.cut").evaluateAll((bars) =>
          bars.map((bar) => Math.round(bar.getBoundingClientRect().right))
        );
        assert.equal(new Set(ends).size, 1);
        await page.getByLabel("Seconds before the death").selectOption("10");
        await page.waitForURL(/seconds=10/);
        await page.waitForFunction(() => !document.querySelector(".stale"));
        await page.locator(".crash-row").first().click();
        await page.waitForSelector(".details");
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
