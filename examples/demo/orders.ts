/**
 * The customers of the demo's shop.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { PATIENCE_MS } from "./programs.ts";

/** An order that was answered. */
export interface Order {
  readonly item: string;
  readonly traceId: string;
  readonly status: number;
}

/** What the shop answers while the stock lives; cake is sold out, soup fails, pie takes a while. */
export const STATUS: Readonly<Record<string, number>> = {
  tea: 200,
  cake: 409,
  soup: 503,
  pie: 200,
};

/** What the customer with this number orders. */
export function itemOf(number: number): string {
  if (number % 25 === 24) return "pie";
  if (number % 10 === 3) return "cake";
  return number % 20 === 7 ? "soup" : "tea";
}

/** A new trace, begun by the customer so that its id is known while the order is under way. */
export function newTraceId(): string {
  return randomBytes(16).toString("hex");
}

/** Orders one item, and waits for the answer. */
export async function order(shop: string, item: string, traceId = newTraceId()): Promise<Order> {
  const response = await fetch(`${shop}/buy/${item}`, {
    headers: { traceparent: `00-${traceId}-${randomBytes(8).toString("hex")}-01` },
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  await response.text();
  return { item, traceId, status: response.status };
}

/** Orders for as long as `more` says so, several at a time. */
export async function orders(
  shop: string,
  more: (answered: readonly Order[], asked: number) => boolean,
): Promise<Order[]> {
  const answered: Order[] = [];
  let asked = 0;
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (more(answered, asked)) answered.push(await order(shop, itemOf(asked++)));
  }));
  return answered;
}

const AT_ONCE = 8;
