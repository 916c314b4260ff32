/**
 * The demo: two services that call each other, a SIGKILL in the middle of a request, and the proof
 * that nothing that was recorded is missing.
 *
 *     deno task demo
 *
 * A shop on Deno and its stock on Bun record through `register.ts`, as any program would; the
 * collector sends OTLP to a receiver in this process, which decodes it. Each service also notes
 * every span in a file of its own (demo/journal.ts): at the end the two are compared, id by id. On a
 * terminal the collector goes on with its page, which shows all of this, until Ctrl-C.
 *
 * @module
 */
import { readdirSync } from "node:fs";
import process from "node:process";
import {
  type Account,
  compare,
  compareRecords,
  holds,
  idOf,
  type Journal,
  openSpans,
  recordsHold,
} from "./demo/account.ts";
import { newTraceId, type Order, order, orders, STATUS } from "./demo/orders.ts";
import { hasViewer, pageOf } from "./demo/page.ts";
import { Stage, until } from "./demo/programs.ts";
import { type Receiver, startReceiver } from "./demo/receiver.ts";
import { type DemoSpan, drawTrace, type Paint } from "./demo/traces.ts";

/** Orders before the kill. */
const ORDERS = 300;
/** Orders that are answered before the kill while the cake is baked, and refused after it. */
const ORDERS_AROUND = 20;

const colour = process.stdout.isTTY && !process.env.NO_COLOR;
const code = (number: number) => (text: string) => colour ? `\x1b[${number}m${text}\x1b[0m` : text;
const paint: Paint = { service: code(36), bad: code(31), dim: code(2) };
const bold = code(1);
const isShown = hasViewer();
const good = code(32);
const say = (line = "") => console.log(line);
const explain = (line: string) => say(paint.dim(`   ${line}`));

// Where a proxy is set for the world outside, what is on this machine is asked directly.
process.env.NO_PROXY = process.env.no_proxy = "127.0.0.1";
const began = performance.now();
const stage = new Stage();
let clearing: Promise<void> | undefined;
let proven = false;
let isOver = false;
const clear = () => clearing ??= stage.clear();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    process.exitCode = isOver ? Number(!proven) : 130;
    clear().finally(() => process.exit());
  });
}

try {
  await demo();
} catch (error) {
  // After a signal everything else fails as well.
  if (clearing === undefined) {
    console.error(`the demo could not be run: ${error instanceof Error ? error.message : error}`);
  }
}
process.exitCode ??= proven ? 0 : 1;
await clear();
// The receiver would keep it alive.
process.exit();

async function demo(): Promise<void> {
  say(bold("1. A collector, and two services that record into memory-mapped files"));
  explain(
    "Each start and end of a span, log record and measurement is in the file when the call returns:",
  );
  explain("the services have no queue to lose, and no connection to the collector.");
  const receiver = await startReceiver();
  const collector = stage.collector(receiver.endpoint, isShown);
  const stock = stage.service("stock", "bun");
  const shop = stage.service("shop", "deno", {
    STOCK_URL: `http://127.0.0.1:${await stock.port()}`,
  });
  const shopUrl = `http://127.0.0.1:${await shop.port()}`;
  const first = await order(shopUrl, "tea");
  await until(
    () => receiver.spans.some(({ traceId }) => traceId === first.traceId),
    () => `the collector delivers nothing: ${collector.errors().trim()}`,
  );
  explain(`shop: Deno, process ${shop.pid}; stock: Bun, process ${stock.pid}`);
  explain(`collector: process ${collector.pid}, sends OTLP to this process, ${process.pid}`);

  say(
    bold(`2. ${ORDERS} orders: the shop asks the stock, and the stock asks the shop for the price`),
  );
  const answered = await orders(shopUrl, (_, asked) => asked < ORDERS);
  for (const { item, status } of answered) {
    if (status !== STATUS[item]) throw new Error(`the shop answered ${status} to ${item}`);
  }
  explain(`answered: ${tally(answered)}`);

  say(bold("3. While orders go on, the stock is killed in the middle of one for a wedding cake"));
  const traceId = newTraceId();
  let cakeAnswered = false;
  const cake = order(shopUrl, "wedding-cake", traceId).finally(() => cakeAnswered = true);
  let killed = false;
  let meanwhile: readonly Order[] = [];
  const others = orders(shopUrl, (done) => {
    meanwhile = done;
    return !killed || done.filter(isRefused).length < ORDERS_AROUND;
  });
  // Both fail when something below does, which then says why.
  for (const promise of [cake, others]) promise.catch(() => {});
  await until(
    () => meanwhile.length >= ORDERS_AROUND && isBaking(stock.journal(), traceId),
    () => `nothing is baked: ${stock.errors().trim()}`,
  );
  if (cakeAnswered) throw new Error("the wedding cake was answered before the kill");
  process.kill(stock.pid, "SIGKILL");
  killed = true;
  await stock.ended;
  explain(`SIGKILL to process ${stock.pid}: no handler runs, nothing can be flushed.`);
  explain(`The shop answers ${(await cake).status} to the customer who waits for the cake.`);
  explain(`${(await others).length} other orders, before and after: ${tally(meanwhile)}`);

  say(bold("4. The shop ends too; the collector sends what is left in the files of both"));
  // Not child.kill(): after that Deno reports the signal as the end even of a process that exits.
  process.kill(shop.pid, "SIGTERM");
  await shop.ended;
  // The collector removes a file whose owner is dead when all that was in it has been accepted.
  await until(
    () => readdirSync(stage.files).every((name) => !name.includes(".otlp")),
    () => `not everything was delivered: ${collector.errors().trim()}`,
  );
  const page = isShown ? await pageOf(collector) : null;
  if (page === null) {
    process.kill(collector.pid, "SIGTERM");
    if (await collector.ended !== 0) {
      throw new Error(`the collector ended with an error: ${collector.errors().trim()}`);
    }
    for (const line of collector.errors().trim().split("\n")) explain(line);
  }

  const { spans } = receiver;
  const traceOf = (item: string) => answered.find((each) => each.item === item)!.traceId;
  say();
  say(bold("An order as the receiver got it: one trace, through both services and back"));
  show(spans, traceOf("tea"));
  say(
    bold("One that failed: the stock threw, and the exception is where it was seen"),
  );
  show(spans, traceOf("soup"));
  say(bold("The wedding cake: the spans that were open in the stock when it was killed are there"));
  show(spans, traceId);
  say(bold("What the services logged in that trace, the stock up to the moment of its death"));
  for (const { service, severity, text } of logsOf(receiver, traceId)) {
    say(`   ${paint.service(service)} ${severity} ${text}`);
  }
  say();
  say(bold("What they measured: their counters, and durations by the HTTP instrumentation"));
  for (const line of seriesLines(receiver)) say(`   ${line}`);
  say();

  proven = prove(receiver, shop.journal(), stock.journal(), traceId);
  isOver = true;
  if (page === null) return;
  say();
  say(bold("All of this on the collector's page, until you press Ctrl-C:"));
  say(`   ${page}`);
  explain("Look at the crash of the stock, and at the trace of the wedding cake.");
  // It gets the Ctrl-C as well.
  if (await collector.ended !== 0 && clearing === undefined) {
    throw new Error(`the collector ended with an error: ${collector.errors().trim()}`);
  }
}

/** Compares what the services noted with what arrived, and says so. */
function prove(
  receiver: Receiver,
  shop: Journal,
  stock: Journal,
  cakeTrace: string,
): boolean {
  const { spans } = receiver;
  const of = (name: string) => spans.filter(({ service }) => service === name);
  const accounts = { shop: compare(shop, of("shop")), stock: compare(stock, of("stock")) };
  say(
    bold("Is anything missing? Each service also wrote down the id of every span in a plain file,"),
  );
  say(bold("each time a start or an end had returned. That, against what arrived:"));
  say("            started    ended  arrived  cut off  missing  doubled");
  for (const [name, account] of Object.entries(accounts)) {
    const { journal, arrived, cutOff, missing, endMissing, doubled } = account;
    const counts = [
      ...[journal.started.size, journal.ended.size, arrived, cutOff],
      ...[missing.length + endMissing.length, doubled.length],
    ];
    say(`   ${paint.service(name.padEnd(7))}${counts.map((n) => `${n}`.padStart(9)).join("")}`);
  }
  const open = openSpans(stock);
  const openInCake = open.filter((id) => id.startsWith(cakeTrace));
  const cutOff = new Set(
    of("stock").filter(({ interrupted }) => interrupted).map((span) => idOf(span)),
  );
  const marked = openInCake.filter((id) => cutOff.has(id)).length;
  explain(
    `Open in the stock when it died: ${open.length} spans, ${openInCake.length} of them of the cake;`,
  );
  explain(`of these ${marked} arrived, ended at the last moment that is known, and marked.`);
  const { unreported } = accounts.stock;
  if (unreported.length > 0) {
    explain(
      "One more call arrived: the kill came after its record, before the stock wrote it down.",
    );
  }
  const recorded = {
    shop: recordsOf(receiver, "shop", shop),
    stock: recordsOf(receiver, "stock", stock),
  };
  say("               logged  arrived  missing  doubled  counted   summed");
  for (const [name, account] of Object.entries(recorded)) {
    const { emitted, arrived, missing, unreported, counted, summed } = account;
    const counts = [emitted, arrived, missing.length, unreported.length, counted, summed];
    say(`   ${paint.service(name.padEnd(7))}${counts.map((n) => `${n}`.padStart(9)).join("")}`);
  }
  const strangers = spans.filter(({ service }) => service !== "shop" && service !== "stock").length;
  // One thread, so at most one call was under way when the stock was killed.
  const proven = holds(accounts.shop, 0) && holds(accounts.stock, 1) && strangers === 0 &&
    recordsHold(recorded.shop, 0) && recordsHold(recorded.stock, 1) &&
    openInCake.length > 0 && marked === openInCake.length;
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  say(
    proven
      ? good(`Nothing is missing and nothing came twice. (${seconds} s)`)
      : paint.bad("This does not hold: what arrived is not what was recorded."),
  );
  if (!proven) { for (const account of Object.values(accounts)) complain(account); }
  return proven;
}

/** The log records and counters of a service, against what it noted. */
function recordsOf({ logs, series }: Receiver, name: string, journal: Journal) {
  const summed = [...series.values()]
    .filter((each) =>
      each.service === name && each.sum === undefined && /^(shop|stock)\./.test(each.name)
    )
    .reduce((sum, { value }) => sum + value, 0);
  return compareRecords(journal, logs.filter(({ service }) => service === name), summed);
}

/** The log records of a trace in order of time. */
function logsOf({ logs }: Receiver, traceId: string) {
  return logs.filter((log) => log.traceId === traceId).sort((a, b) => Number(a.time - b.time));
}

/** A line for each counter, and for each histogram of a service. */
function seriesLines({ series, spans }: Receiver): string[] {
  const lines: string[] = [];
  const totals = new Map<string, { count: number; sum: number; linked: number }>();
  const traces = new Set(spans.map(({ traceId }) => traceId));
  for (const { service, name, attributes, value, sum, exemplars } of series.values()) {
    if (sum === undefined) {
      if (/^(shop|stock)\./.test(name)) {
        lines.push(`${paint.service(service)} ${name} ${paint.dim(attributes)} = ${value}`);
      }
      continue;
    }
    const key = `${paint.service(service)} ${name}`;
    const total = totals.get(key) ?? { count: 0, sum: 0, linked: 0 };
    total.count += value;
    total.sum += sum;
    total.linked += exemplars.filter((traceId) => traces.has(traceId)).length;
    totals.set(key, total);
  }
  for (const [key, { count, sum, linked }] of totals) {
    const mean = (sum / count * 1000).toFixed(1);
    lines.push(
      `${key}: ${count} values, ${mean} ms each, ${linked} exemplars that lead to a trace`,
    );
  }
  return lines.sort();
}

/** Says which spans are wrong. */
function complain({ missing, endMissing, doubled, unreported, journal }: Account): void {
  const say = (what: string, ids: readonly string[]): void => {
    for (const id of ids.slice(0, 5)) {
      console.error(`${what}: ${id} ${journal.started.get(id) ?? ""}`);
    }
  };
  say("missing", missing);
  say("arrived without its end", endMissing);
  say("arrived twice", doubled);
  say("arrived and was not noted", unreported);
}

/** Whether the stock has begun to bake for an order. */
function isBaking({ started }: Journal, traceId: string): boolean {
  return started.entries().some(([id, name]) => name === "bake" && id.startsWith(traceId));
}

/** Whether an order failed for want of the stock, and not because it was for soup. */
function isRefused({ item, status }: Order): boolean {
  return status === 503 && STATUS[item] !== 503;
}

function show(spans: readonly DemoSpan[], traceId: string): void {
  const trace = spans.filter((span) => span.traceId === traceId);
  for (const line of drawTrace(trace, paint)) say(`   ${line}`);
  say();
}

/** `200 × 260, 409 × 30`. */
function tally(orders: readonly Order[]): string {
  const counts = Map.groupBy(orders, ({ status }) => status);
  return [...counts].sort(([a], [b]) => a - b)
    .map(([status, { length }]) => `${status} × ${length}`).join(", ");
}
