/**
 * The page in a real browser, over what real services do and two that are killed: each view is clicked
 * through, and says what happened. Registered where OTLP_MMAP_CHROMIUM names a Chromium.
 */
import assert from "node:assert/strict";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { isDeepStrictEqual } from "node:util";
import type { Locator, Page } from "playwright-core";
import type { Live } from "../collector/page/live-types.ts";
import {
  axeViolations,
  type Browser,
  CHROMIUM,
  picture,
  startBrowser,
  tooWide,
  watch,
} from "../collector/page/testing/browser.ts";
import type { Loss, Paged, SpanSummary } from "../collector/store/queries/types.ts";
import type { Order } from "../examples/demo/orders.ts";
import { ownRuntime } from "./support/runtimes.ts";
import { eventually, openIn, openStreet, type Street } from "./support/street.ts";

/** The traces of orders, of one item or of all. */
function tracesOf(orders: readonly Order[], item?: string): string[] {
  return orders.filter((each) => item === undefined || each.item === item)
    .map(({ traceId }) => traceId);
}

/** The number in a text such as `1,234 spans`. */
function numberIn(text: string): number {
  return Number(text.replace(/[^\d.]/g, ""));
}

if (CHROMIUM !== undefined) {
  // Each part takes seconds, and on a machine that is busy with others a minute.
  const timeout = 180_000;
  describe("the page over real services", { timeout: 10 * timeout }, () => {
    let street: Street;
    let browser: Browser;
    let url: string;
    before(async () => {
      [street, browser] = await Promise.all([openStreet(), startBrowser()]);
      url = street.client.url;
      const page = await browser.context.newPage();
      // From here on the browser has the cookie.
      await page.goto(street.address);
      await page.close();
    });
    after(async () => {
      await browser?.close();
      await street?.close();
    });

    /** Runs with a page of its own at an address, which must do nothing that it must not. */
    async function at(
      address: string,
      ready: string,
      run: (page: Page) => Promise<void>,
    ): Promise<void> {
      const { page, wrongs } = await watch(browser.context, url);
      try {
        await page.setViewportSize({ width: 1360, height: 1000 });
        await page.goto(`${url}/#${address}`);
        await page.waitForSelector(ready);
        await page.waitForSelector(".connection.on");
        await run(page);
        assert.deepEqual(wrongs, []);
      } finally {
        await page.close();
      }
    }

    /** Keeps a picture in light and in dark, in which axe finds nothing. */
    async function look(page: Page, name: string): Promise<void> {
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        await page.waitForSelector(`[data-theme=${colorScheme}]`);
        await picture(page, `real-${ownRuntime}-${name}-${colorScheme}`);
        assert.deepEqual(await axeViolations(page), [], `${name}, ${colorScheme}`);
        assert.ok(await tooWide(page) <= 0, `${name} is too wide`);
      }
      await page.emulateMedia({ colorScheme: "light" });
    }

    /** Waits until a list has these texts, in any order. */
    async function has(list: Locator, texts: readonly string[]): Promise<void> {
      const sorted = [...texts].sort();
      await eventually(
        async () => (await list.allInnerTexts()).map((text) => text.trim()).sort(),
        (found) => isDeepStrictEqual(found, sorted),
      );
    }

    /** Waits until the list of traces is these, in any order. */
    async function lists(page: Page, traceIds: readonly string[]): Promise<void> {
      const sorted = [...traceIds].sort();
      await eventually(
        async () => {
          const hrefs = await page.locator("a.trace").evaluateAll((links) =>
            links.map((link) => link.getAttribute("href")!)
          );
          return hrefs.map((href) => /[0-9a-f]{32}/.exec(href)![0]).sort();
        },
        (found) => isDeepStrictEqual(found, sorted),
      );
    }

    it(
      "has the services, who calls whom, and processes that die while one looks",
      { timeout },
      () =>
        at("/", ".map svg", async (page) => {
          const { shop, stock, till, depot, cakes } = street;
          const places = [[shop, cakes.shop], [stock, cakes.shop]] as const;
          const others = [[till, cakes.till], [depot, cakes.till]] as const;
          const cells = (name: string): Locator =>
            page.getByRole("region", { name: "Figures of services" }).getByRole("row")
              .filter({ hasText: name }).locator("td");
          for (const program of [shop, till, depot]) {
            const noted = program.journal();
            await eventually(
              async () => numberIn(await cells(program.name).last().innerText()),
              (spans) => spans === noted.ended.size,
            );
          }
          // A request is a span of a server: of the till and the shop that is "GET", as is that of a client.
          const requests = async (name: string): Promise<number> =>
            numberIn(await cells(name).first().innerText());
          const { till: atTill } = street.ordered;
          // Each order is one, and the depot asks for a price.
          assert.equal(await requests("till"), 2 * atTill.length);
          assert.equal(await requests("depot"), atTill.length);
          await page.getByText("Calls as a table").click();
          const calls = (await page.locator(".calls tbody tr").allInnerTexts())
            .map((row) => row.split(/\s+/).slice(0, 3).join(" ")).sort();
          assert.deepEqual(calls.filter((row) => row.includes("till")), [
            `depot till ${atTill.length}`,
            `till depot ${atTill.length}`,
          ]);
          assert.deepEqual(calls.map((row) => row.replace(/ \d+$/, "")), [
            "depot till",
            "shop stock",
            "stock shop",
            "till depot",
          ]);

          const card = (name: string): Locator =>
            page.locator(".processes > li").filter({ hasText: name });
          // They come by a request of their own.
          await eventually(
            () => page.locator(".processes .badge.good").count(),
            (count) => count === 4,
          );
          assert.match(await card("stock").innerText(), /bun · .*records lost/s);
          assert.match(await card("till").innerText(), /deno · .*nothing lost/s);
          await look(page, "overview");
          await street.bake();
          for (const [program, cake] of [...places, ...others]) {
            const open = `${openIn(program, cake).length} open spans`;
            await card(program.name).filter({ hasText: open }).filter({ hasText: "alive" })
              .waitFor();
            assert.match(await card(program.name).innerText(), new RegExp(`pid ${program.pid} `));
          }
          for (const program of [stock, till]) {
            process.kill(program.pid, "SIGKILL");
            await program.ended;
          }
          for (const { name } of [stock, till]) {
            await card(name).filter({ hasText: "died" }).getByText("Last seconds").waitFor();
          }
          assert.equal(await page.locator(".processes .dead").count(), 2);
          await look(page, "overview-of-the-dead");
          await page.getByRole("region", { name: "Figures of services" })
            .getByRole("link", { name: "depot" }).first().click();
          await page.waitForURL(/#\/traces\?.*service=depot/);
          await page.goBack();
          await card("till").getByText("Last seconds").click();
          await page.getByRole("heading", { name: "till died" }).waitFor();
        }),
    );

    it(
      "finds traces by what the services noted in them",
      { timeout },
      () =>
        at("/traces", ".trace", async (page) => {
          const { cakes, ordered: { shop, till } } = street;
          await page.getByLabel(/^Service/).selectOption("till");
          await lists(page, [...tracesOf(till), cakes.till]);
          await page.getByLabel("Status").selectOption("error");
          await page.getByLabel("Attribute").fill("order.item=soup");
          await page.getByLabel("Attribute").press("Enter");
          await lists(page, tracesOf(till, "soup"));
          await page.getByLabel(/^Service/).selectOption("");
          await lists(page, [...tracesOf(till, "soup"), ...tracesOf(shop, "soup")]);
          await look(page, "traces");
          const address = new URL(page.url()).hash.slice(1);
          await at(
            address,
            ".trace",
            (other) => lists(other, [...tracesOf(till, "soup"), ...tracesOf(shop, "soup")]),
          );
          await page.getByLabel("Drop the condition").click();
          await page.getByLabel("Status").selectOption("");
          await page.getByLabel("Cut off only").check();
          await lists(page, [cakes.shop, cakes.till]);
          await page.getByLabel("Cut off only").uncheck();
          await page.getByLabel("Name contains").fill("BAKE");
          await page.getByLabel("Name contains").press("Enter");
          await page.getByLabel(/^Service/).selectOption("stock");
          await page.getByLabel("At most").fill("10min");
          await page.getByLabel("At most").press("Enter");
          await lists(page, [...tracesOf(shop, "pie"), cakes.shop]);
          await page.getByLabel("At least").fill("9min");
          await page.getByLabel("At least").press("Enter");
          await page.waitForSelector(".empty");
        }),
    );

    it(
      "selects traces by a rectangle in the scatter",
      { timeout },
      () =>
        at("/traces?last=5m", ".u-over", async (page) => {
          await page.waitForSelector(".trace");
          const box = (await page.locator(".u-over").boundingBox())!;
          // The slower ones: the upper part of the chart.
          await page.mouse.move(box.x + 2, box.y + 2);
          await page.mouse.down();
          await page.mouse.move(box.x + box.width - 2, box.y + box.height * 0.5, { steps: 5 });
          await page.mouse.up();
          await page.waitForURL(/from=\d+.*min=.*max=/);
          await page.waitForFunction(() => !document.querySelector(".stale, .loading"));
          const query = new URLSearchParams(new URL(page.url()).hash.split("?")[1]);
          const [from, to] = [Number(query.get("from")), Number(query.get("to"))];
          const ns = (text: string | null): number => {
            const [, number, unit] = /^([\d.]+)(\D+)$/.exec(text!)!;
            return Number(number) * { ns: 1, "µs": 1e3, ms: 1e6, s: 1e9, min: 6e10 }[unit]!;
          };
          const [min, max] = [ns(query.get("min")), ns(query.get("max"))];
          const inside: string[] = [];
          for (let cursor = "";;) {
            const path = `spans?limit=1000${cursor && `&cursor=${encodeURIComponent(cursor)}`}`;
            const { rows, next } = await street.client.ask<Paged<SpanSummary>>("spans", path);
            const fits = rows.filter(({ startNs, durationNs }) =>
              Number(startNs) / 1e6 >= from && Number(startNs) / 1e6 < to &&
              durationNs >= min && durationNs <= max
            );
            inside.push(...fits.map(({ traceId }) => traceId));
            if (next === null) break;
            cursor = next;
          }
          const wanted = new Set(inside);
          const pies = tracesOf(street.ordered.shop, "pie");
          assert.ok(pies.every((id) => wanted.has(id)), "a pie takes 150 ms, most orders less");
          const listed = await page.locator("a.trace").evaluateAll((links) =>
            links.map((link) => /[0-9a-f]{32}/.exec(link.getAttribute("href")!)![0])
          );
          assert.ok(listed.length > 0 && listed.every((id) => wanted.has(id)), `${listed}`);
          assert.equal(listed.length, Math.min(50, wanted.size));
        }),
    );

    it("draws an order through both services, with its logs, attributes and critical path", {
      timeout,
    }, () => {
      const [pie] = tracesOf(street.ordered.shop, "pie");
      return at(`/traces/${pie}`, ".row", async (page) => {
        const rows = page.locator(".waterfall .row");
        await has(rows.locator(".name"), [
          ...["GET", "buy", "GET", "GET /reserve/:item", "reserve", "GET", "GET", "bake"],
        ]);
        await page.locator(".facts-line", { hasText: "8 spans · 2 services" }).waitFor();
        const bake = rows.filter({ hasText: "bake" });
        assert.equal(await bake.getAttribute("aria-description"), "on the critical path");
        assert.ok(await page.locator(".row .log-mark").count() > 0);
        await bake.click();
        await page.locator(".details").getByText("bake.ms").waitFor();
        assert.match(await page.locator(".details").innerText(), /bake\.ms\s*150/);
        await rows.filter({ hasText: "buy" }).click();
        await page.locator(".details .events").getByText("stock answered").waitFor();
        await has(page.getByRole("region", { name: "Logs of this trace" }).locator(".log-text"), [
          "the oven is on, for 0.15 s",
          "reserved pie",
          "pie: the stock says 200",
        ]);
        await look(page, "waterfall");
        for (const name of ["OTLP", "Perfetto"]) {
          const [download] = await Promise.all([
            page.waitForEvent("download"),
            page.getByRole("link", { name }).click(),
          ]);
          assert.match(download.suggestedFilename(), new RegExp(`${pie}.*json$`));
        }
      });
    });

    it("marks what the kills cut off, in the midst of what lived on", { timeout }, async () => {
      const { cakes, stock } = street;
      await at(`/traces/${cakes.shop}`, ".row.cut", async (page) => {
        await has(page.locator(".row.cut .name"), openIn(stock, cakes.shop));
        // The shop lived, and said what became of it.
        await eventually(
          () => page.locator(".row.bad .name").allInnerTexts(),
          (names) => names.includes("buy"),
        );
        await page.locator(".row.cut").filter({ hasText: "bake" }).click();
        await page.locator(".details .note.cut").waitFor();
        await look(page, "waterfall-cut-off");
        await page.getByText("Last seconds of the process").click();
        await page.getByRole("heading", { name: "stock died" }).waitFor();
      });
    });

    it("shows spans that are open, which grow", { timeout }, async () => {
      const traceId = await street.reserve("wedding-cake");
      await at("/traces", ".open-now a", async (page) => {
        await page.locator(`.open-now a[href*="${traceId}"]`).first().click();
        await page.waitForSelector(".row.open");
        await has(page.locator(".row.open .name"), ["GET /reserve/:item", "reserve", "bake"]);
        const took = (): Promise<string> => page.locator(".row.open .took").first().innerText();
        const first = await took();
        assert.match(first, /^open for /);
        await eventually(took, (text) => text !== first);
        await look(page, "waterfall-open");
      });
    });

    it("compares two orders", { timeout }, () => {
      const [pie] = tracesOf(street.ordered.shop, "pie");
      return at(`/traces/${pie}`, ".row", async (page) => {
        await page.getByRole("button", { name: "Compare…" }).click();
        // Its name is that of many: "GET".
        await page.getByLabel("Drop the name").click();
        await page.getByLabel(/^Service/).selectOption("shop");
        await page.getByLabel("Attribute").fill("order.item=tea");
        await page.getByLabel("Attribute").press("Enter");
        await page.waitForURL(/order\.item/);
        // Those that were listed before the condition are stale until the answer is there.
        await page.waitForFunction(() => !document.querySelector(".stale, .loading"));
        await page.locator(`a.trace[href*="compare/${pie}"]`).nth(2).click();
        await page.waitForSelector(".difference");
        assert.equal(await page.locator(".waterfall").count(), 2);
        const row = page.getByRole("row").filter({ hasText: "bake" });
        assert.match(await row.innerText(), /only first/);
        await page.locator(".waterfall").first().locator(".row").filter({ hasText: "buy" }).click();
        await has(page.locator(".row.selected .name"), ["buy", "buy"]);
        await look(page, "compare");
      });
    });

    it(
      "follows the logs, pauses, searches, and goes to a trace and back",
      { timeout },
      () =>
        at("/logs", ".log", async (page) => {
          const { ordered: { shop, till }, reserve } = street;
          // What is only logged here.
          const now = page.locator(".log", { hasText: "reserved pot" });
          await reserve("cup");
          await page.locator(".log", { hasText: "reserved cup" }).waitFor();
          await page.getByRole("button", { name: "Pause" }).click();
          await reserve("pot");
          assert.equal(await now.count(), 0);
          await page.getByRole("button", { name: "Follow" }).click();
          await now.waitFor();
          await page.getByLabel("Severity").selectOption("17");
          const soups = [...tracesOf(shop, "soup"), ...tracesOf(till, "soup")];
          await has(page.locator(".log .log-text"), [
            ...soups.map(() => "soup: cannot be ordered now"),
            "wedding-cake: cannot be ordered now",
          ]);
          await page.getByLabel("Severity").selectOption("");
          await page.getByLabel(/^Service/).selectOption("stock");
          await page.getByLabel("Text").fill('"the oven" AND on');
          await page.getByLabel("Text").press("Enter");
          await has(page.locator(".log .log-text"), [
            ...tracesOf(shop, "pie").map(() => "the oven is on, for 0.15 s"),
            "the oven is on, for 60 s",
          ]);
          await look(page, "logs");
          await page.locator(".log").filter({ hasText: "60 s" }).locator(".log-trace").click();
          await page.waitForURL(new RegExp(`traces/${street.cakes.shop}`));
          await page.locator(".row.selected.cut").waitFor();
          await page.getByText("Logs of this span").click();
          await has(page.locator(".log .log-text"), ["the oven is on, for 60 s"]);
          await page.getByText("Back to the trace").click();
          await page.locator(".row.selected.cut").waitFor();
        }),
    );

    it(
      "charts what was measured, and leads from an exemplar to its trace",
      { timeout },
      () =>
        at("/metrics", ".streams a", async (page) => {
          const choose = async (name: string, service: string): Promise<void> => {
            await page.getByRole("searchbox", { name: "Filter streams" }).fill(name);
            await page.locator(".streams a").filter({ hasText: name }).filter({ hasText: service })
              .first().click();
            await page.getByRole("heading", { name }).waitFor();
          };
          await choose("shop.orders", "till");
          await page.getByRole("button", { name: "Total" }).click();
          const { counted } = street.till.journal();
          const sums = page.locator(".legend b");
          await eventually(
            async () => (await sums.allInnerTexts()).map(numberIn).reduce((a, b) => a + b, 0),
            (sum) => sum === counted,
          );
          await page.locator(".legend button").first().click();
          await page.waitForURL(/off=\d+/);
          await look(page, "metrics");
          await choose("http.server.request.duration", "till");
          await page.waitForSelector(".percentiles");
          // Orders, and prices for the depot, that of the last cake too; its order did not end.
          const measured = 2 * street.ordered.till.length + 1;
          await eventually(
            () => page.locator(".percentiles").innerText(),
            (text) => text.includes(`${measured} measurements`),
          );
          await page.locator(".exemplars summary").click();
          await look(page, "metrics-heat-map");
          const link = page.locator(".exemplars a").first();
          const traceId = /[0-9a-f]{32}/.exec((await link.getAttribute("href"))!)![0];
          const { till } = street.ordered;
          assert.ok([...tracesOf(till), street.cakes.till].includes(traceId), traceId);
          await link.click();
          await page.waitForSelector(".row.selected");
          assert.match(await page.locator(".details").innerText(), /^GET\b/);
        }),
    );

    for (const victim of ["stock", "till"] as const) {
      it(
        `tells the last seconds of the ${victim}`,
        { timeout },
        () =>
          at("/crashes", ".crashes a", async (page) => {
            const crashes = await page.locator(".crashes li").allInnerTexts();
            assert.deepEqual(crashes.map((text) => /^\w+/.exec(text)![0]).sort(), [
              "stock",
              "till",
            ]);
            if (victim === "stock") await look(page, "crashes");
            await page.locator(".crashes a").filter({ hasText: victim }).click();
            await page.waitForSelector(".tracks");
            // The losses were a while ago, longer on a busy machine.
            await page.getByLabel("Seconds before the death").selectOption("300");
            await page.waitForURL(/seconds=300/);
            await page.waitForFunction(() => !document.querySelector(".stale, .loading"));
            const program = street[victim];
            const cake = street.cakes[victim === "stock" ? "shop" : "till"];
            await has(page.locator(".crash-row:has(.bar.cut) .crash-name"), openIn(program, cake));
            // All bars end where the process did.
            const ends = await page.locator(".track .bar.cut").evaluateAll((bars) =>
              bars.map((bar) => Math.round(bar.getBoundingClientRect().right))
            );
            assert.equal(new Set(ends).size, 1);
            const words = await page.locator(".last-words").innerText();
            const [chain, last] = {
              stock: [/GET \/reserve\/:item\s*›\s*reserve\s*›\s*bake/, "the oven is on, for 60 s"],
              till: [/GET\s*›\s*buy\s*›\s*GET/, "tea: the stock says 200"],
            }[victim];
            assert.match(words, chain as RegExp);
            assert.ok(words.includes(last as string), words);
            assert.ok((await page.locator(".last-logs .log-text").first().innerText()).includes(
              last as string,
            ));
            const counter = victim === "stock" ? "stock.reserved" : "shop.orders";
            await page.locator(".crash-row.metric").filter({ hasText: counter }).first().waitFor();
            const lost = numberIn(await page.locator("#lost span").innerText());
            const { client } = street;
            const label = `${victim} (${program.pid})`;
            const noted =
              (await client.ask<Loss[]>("losses", `losses?from=${Date.now() - 600_000}`))
                .filter((loss) => loss.process === label).reduce(
                  (sum, { count }) => sum + count,
                  0,
                );
            assert.equal(lost, noted);
            const { processes } = await client.ask<Live>("live");
            const refused = processes.find(({ pid }) => pid === program.pid)!.files
              .flatMap(({ rings }) => rings.flatMap((ring) => Object.values(ring.refused)))
              .reduce((sum, count) => sum + count, 0);
            assert.equal(noted, refused);
            assert.equal(lost > 0, victim === "stock");
            await picture(page, `real-${ownRuntime}-crash-of-${victim}`);
            // With some records instead of hundreds.
            await page.getByLabel("Seconds before the death").selectOption("0.1");
            await page.waitForURL(/seconds=0.1/);
            await look(page, `crash-of-${victim}`);
            await page.locator(".crash-row:has(.bar.cut)").last().click();
            await page.waitForSelector(".row.selected.cut");
          }),
      );
    }
  });
}
