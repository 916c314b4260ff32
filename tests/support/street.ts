/**
 * A street of real services and a collector that shows them on its page: the demo's shop on Deno with
 * its stock on Bun, and once more the same under other names, a till with its depot. Each runtime has
 * a service to be killed and one that lives on.
 *
 * @module
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { type Client, createClient } from "../../collector/page/testing/client.ts";
import type { Overview } from "../../collector/store/queries/types.ts";
import { openSpans } from "../../examples/demo/account.ts";
import { newTraceId, type Order, order, orders, STATUS } from "../../examples/demo/orders.ts";
import { type Program, Stage } from "../../examples/demo/programs.ts";
import { observe, type Observed } from "./collector.ts";
import { ownRuntime } from "./runtimes.ts";

/** Orders at the shop, and at the till. */
const SHOP_ORDERS = 50;
const TILL_ORDERS = 20;
/** Slots of the spans ring of the stock, and orders that are more than fits while nobody reads it. */
const STOCK_SLOTS = 512;
const FLOOD_ORDERS = 200;

/** All of it. */
export interface Street {
  /** The page with its token. */
  readonly address: string;
  readonly client: Client;
  /** On Deno, lives. */
  readonly shop: Program;
  /** On Bun, to be killed; its spans ring is small, and refused some. */
  readonly stock: Program;
  /** On Deno, to be killed. */
  readonly till: Program;
  /** On Bun, lives. */
  readonly depot: Program;
  /** What was ordered where, without the flood. */
  readonly ordered: { readonly shop: readonly Order[]; readonly till: readonly Order[] };
  /** Traces of two wedding cakes. */
  readonly cakes: { readonly shop: string; readonly till: string };
  /** Puts them into the ovens of the stock and of the depot, for a minute. */
  bake(): Promise<void>;
  /** Has the depot do something for the shop, in a trace of its own; its id. Does not wait for cake. */
  reserve(item: string): Promise<string>;
  close(): Promise<void>;
}

/** Opens it: all orders are answered and stored. */
export async function openStreet(): Promise<Street> {
  const stage = new Stage();
  const state = mkdtempSync(join(tmpdir(), "otlp-mmap-street-"));
  const args = ["collect", "--ui-port", "0", "--metrics-interval", "500ms", stage.files];
  const collector = observe(ownRuntime, "collector/main.ts", args, {
    env: { XDG_STATE_HOME: state },
  });
  const close = async (): Promise<void> => {
    await collector.stop("SIGKILL");
    await stage.clear();
    rmSync(state, { recursive: true, force: true });
  };
  try {
    return { ...await fill(stage, collector), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function fill(stage: Stage, collector: Observed): Promise<Omit<Street, "close">> {
  const stock = stage.service("stock", "bun", { OTLP_MMAP_SPANS_SLOTS: `${STOCK_SLOTS}` });
  const depot = stage.service("depot", "bun", {}, "stock");
  const [stockUrl, depotUrl] = [await urlOf(stock), await urlOf(depot)];
  const shop = stage.service("shop", "deno", { STOCK_URL: stockUrl });
  const till = stage.service("till", "deno", { STOCK_URL: depotUrl }, "shop");
  const [shopUrl, tillUrl] = [await urlOf(shop), await urlOf(till)];
  await collector.wrote(/^page: /m, 60_000);
  const address = /^page: (http:\S+)$/m.exec(collector.text())![1];
  const client = await createClient(address);

  // The last ones are alone, so that it is known what came last.
  const buy = async (url: string, count: number): Promise<Order[]> => [
    ...await orders(url, (_, asked) => asked < count - 1),
    await order(url, "tea"),
  ];
  const ordered = { shop: await buy(shopUrl, SHOP_ORDERS), till: await buy(tillUrl, TILL_ORDERS) };
  for (const { item, status } of [...ordered.shop, ...ordered.till]) {
    assert.equal(status, STATUS[item], item);
  }
  await areStored(client, [shop, stock, till, depot]);

  process.kill(collector.child.pid!, "SIGSTOP");
  try {
    // A few at a time: of each span that has begun the end is kept room for.
    for (let i = 0; i < FLOOD_ORDERS; i += 8) {
      await Promise.all(Array.from({ length: 8 }, () => order(shopUrl, "tea")));
    }
  } finally {
    process.kill(collector.child.pid!, "SIGCONT");
  }
  await areStored(client, [shop]);

  const get = async (url: string, traceId: string): Promise<void> => {
    const headers = { traceparent: `00-${traceId}-00000000000000aa-01` };
    await (await fetch(url, { headers })).text();
  };
  const isBaking = ({ journal }: Program, traceId: string): boolean =>
    [...journal().started].some(([id, name]) => name === "bake" && id.startsWith(traceId));
  const cakes = { shop: newTraceId(), till: newTraceId() };
  const bake = async (): Promise<void> => {
    // Whoever waits for a cake is told when the till is killed, or the stock, or never.
    get(`${shopUrl}/buy/wedding-cake`, cakes.shop).catch(() => {});
    get(`${tillUrl}/buy/wedding-cake`, cakes.till).catch(() => {});
    await eventually(
      () => Promise.resolve([isBaking(stock, cakes.shop), isBaking(depot, cakes.till)]),
      (baking) => baking.every(Boolean),
    );
  };
  const reserve = async (item: string): Promise<string> => {
    const traceId = newTraceId();
    const answer = get(`${depotUrl}/reserve/${item}?shop=${shopUrl}`, traceId);
    if (item === "wedding-cake") answer.catch(() => {});
    else await answer;
    return traceId;
  };
  return { address, client, shop, stock, till, depot, ordered, cakes, bake, reserve };
}

async function urlOf(program: Program): Promise<string> {
  return `http://127.0.0.1:${await program.port()}`;
}

/** Waits until every span that ended in these programs is in the store. */
async function areStored(client: Client, programs: readonly Program[]): Promise<void> {
  const wanted = programs.map(({ journal }) => journal().ended.size);
  const names = programs.map(({ name }) => name);
  const from = Date.now() - 600_000;
  await eventually(
    async () => {
      const { services } = await client.ask<Overview>("overview", `overview?from=${from}`);
      return names.map((name) => services.find(({ service }) => service === name)?.spans ?? 0);
    },
    (stored) => stored.every((count, i) => count >= wanted[i]),
  );
}

/** Asks until the answer is as wanted; fails after a minute. */
export async function eventually<T>(
  ask: () => Promise<T>,
  isSo: (answer: T) => boolean,
): Promise<T> {
  for (const deadline = Date.now() + 60_000;;) {
    const answer = await ask();
    if (isSo(answer)) return answer;
    if (Date.now() > deadline) assert.fail(`still ${JSON.stringify(answer).slice(0, 3000)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The names of the spans of a trace that are open in a program, by what it noted. */
export function openIn({ journal }: Program, traceId: string): string[] {
  const noted = journal();
  return openSpans(noted).filter((id) => id.startsWith(traceId))
    .map((id) => noted.started.get(id)!);
}
