/**
 * The demo: two services that call each other, a SIGKILL in the middle of a request, and the proof
 * that nothing that was recorded is missing.
 *
 *     deno task demo
 *
 * A shop on Deno and its stock on Bun record through `register.ts`, as any program would; the
 * collector sends OTLP to a receiver in this process, which decodes and counts it.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { bunPath, denoPath, ROOT } from "../tools/runtimes.ts";
import { decodeSpans, type DemoSpan, drawTrace, type Paint } from "./demo/traces.ts";

/** Requests that are answered. */
const REQUESTS = 400;
const AT_ONCE = 8;
/** For anything that should happen at once, ms. */
const PATIENCE_MS = 20_000;
/** What each answered request is made of: service and span, sorted. */
const EXPECTED = [
  "shop GET",
  "shop GET",
  "shop GET",
  "shop buy",
  "stock GET",
  "stock GET /reserve/:item",
  "stock reserve",
];

const colour = process.stdout.isTTY && !process.env.NO_COLOR;
const code = (number: number) => (text: string) => colour ? `\x1b[${number}m${text}\x1b[0m` : text;
const paint: Paint = { name: code(36), bad: code(31), dim: code(2) };
const good = code(32);
const say = (line = "") => console.log(line);

const place = mkdtempSync(join(tmpdir(), "otlp-mmap-demo-"));
const children: ChildProcess[] = [];
function cleanUp(): void {
  for (const child of children) child.kill("SIGKILL");
  rmSync(place, { recursive: true, force: true });
}
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    cleanUp();
    process.exit(130);
  });
}

try {
  process.exitCode = await demo() ? 0 : 1;
} catch (error) {
  console.error(`the demo could not be run: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
} finally {
  cleanUp();
}
// The receiver and the pipes of the children would keep it alive.
process.exit();

async function demo(): Promise<boolean> {
  const spans: DemoSpan[] = [];
  const receiver = createServer((request, response) => {
    const parts: Uint8Array[] = [];
    request.on("data", (part: Uint8Array) => parts.push(part));
    request.on("end", () => {
      spans.push(...decodeSpans(Buffer.concat(parts)));
      response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
    });
  });
  receiver.listen(0, "127.0.0.1");
  await once(receiver, "listening");

  say("1. A collector, and two services that record into memory-mapped files.");
  const endpoint = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`;
  const collector = run("collector", denoPath(), [
    ...["run", "-A", join(ROOT, "collector/main.ts"), "collect", "--endpoint", endpoint],
  ], {});
  // The services need each other's address: a port that is free now will do for the second.
  const stockPort = await freePort();
  const shop = run("shop", denoPath(), [
    ...["run", "-A", `--preload=${join(ROOT, "register.ts")}`, join(ROOT, "examples/demo/shop.ts")],
  ], { STOCK_URL: `http://127.0.0.1:${stockPort}` });
  const shopUrl = `http://127.0.0.1:${(await shop.line(/^listening (\d+)$/))[1]}`;
  const stock = run("stock", bunPath(), [
    ...["--preload", join(ROOT, "register.ts"), join(ROOT, "examples/demo/stock.ts")],
  ], { SHOP_URL: shopUrl, PORT: String(stockPort) });
  await stock.line(/^listening (\d+)$/);
  say(
    paint.dim(`   shop: Deno, process ${shop.child.pid}; stock: Bun, process ${stock.child.pid}`),
  );

  say(`2. ${REQUESTS} requests to the shop, which asks the stock, which asks the shop for prices.`);
  const answered: string[] = [];
  const next = { number: 0 };
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (next.number < REQUESTS) {
      const traceId = newTraceId();
      const item = next.number++ % 10 === 0 ? "cake" : "tea";
      const status = await ask(`${shopUrl}/buy/${item}`, traceId);
      if (status !== (item === "cake" ? 409 : 200)) throw new Error(`the shop answered ${status}`);
      answered.push(traceId);
    }
  }));

  say(
    "3. One more request, for a pie; while the stock is at it, the stock is killed with SIGKILL.",
  );
  const cutTrace = newTraceId();
  const pie = ask(`${shopUrl}/buy/pie`, cutTrace);
  // The stock says on a channel of its own what it had recorded when the call returned.
  const [, , openSpan] = await stock.line(/^baking ([0-9a-f]{32}) ([0-9a-f]{16})$/);
  stock.child.kill("SIGKILL");
  say(
    paint.dim(`   the shop answered ${await pie}; now it ends as well, and the collector drains`),
  );
  await stock.ended;
  // Not child.kill(): after that Deno reports the signal as the end even of a process that exits.
  process.kill(shop.child.pid!, "SIGTERM");
  await shop.ended;
  await until(
    () => readdirSync(place).every((name) => !name.includes(".otlp")),
    "the collector did not deliver everything",
  );
  process.kill(collector.child.pid!, "SIGTERM");
  if (await collector.ended !== 0) throw new Error("the collector ended with an error");

  const byTrace = Map.groupBy(spans, ({ traceId }) => traceId);
  say();
  say("A trace that crosses both services:");
  show(byTrace.get(answered[1]));
  say("The request that was killed. The stock's open spans are there, up to its last instruction:");
  const cut = byTrace.get(cutTrace) ?? [];
  show(cut);

  const wrong = answered.filter((id) => contents(byTrace.get(id)) !== EXPECTED.join());
  const doubled = spans.length - new Set(spans.map(({ traceId, spanId }) => traceId + spanId)).size;
  const kept = cut.some(({ spanId, interrupted }) => spanId === openSpan && interrupted);
  const expected = answered.length * EXPECTED.length;
  const arrived = answered.reduce((sum, id) => sum + (byTrace.get(id)?.length ?? 0), 0);
  say(`Answered requests: ${answered.length}, of ${EXPECTED.length} spans each`);
  say(`  spans expected ${expected}, arrived ${arrived}, missing ${expected - arrived}`);
  say(`  traces that are not whole ${wrong.length}, spans that came twice ${doubled}`);
  say(
    `The span that was open when the stock died: ${kept ? "arrived, marked as cut off" : "lost"}`,
  );
  const holds = wrong.length === 0 && doubled === 0 && arrived === expected && kept;
  say(holds ? good("Nothing is missing.") : paint.bad("Something is missing."));
  return holds;
}

function show(spans: readonly DemoSpan[] = []): void {
  for (const line of drawTrace(spans, paint)) say(`   ${line}`);
  say();
}

function contents(spans: readonly DemoSpan[] = []): string {
  return spans.map(({ service, name }) => `${service} ${name}`).sort().join();
}

/** A request of a client that begins the trace, so that the demo knows its id. */
async function ask(url: string, traceId: string): Promise<number> {
  const traceparent = `00-${traceId}-${randomBytes(8).toString("hex")}-01`;
  const response = await fetch(url, { headers: { traceparent } });
  await response.text();
  return response.status;
}

function newTraceId(): string {
  return randomBytes(16).toString("hex");
}

interface Running {
  readonly child: ChildProcess;
  /** Its exit code, null after a signal. */
  readonly ended: Promise<number | null>;
  /** The first line of its output that matches, also of what it has said already. */
  line(pattern: RegExp): Promise<RegExpExecArray>;
}

function run(
  name: string,
  command: string,
  args: string[],
  env: Record<string, string>,
): Running {
  const child = spawn(command, args, {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...Object.fromEntries(
        // What the terminal's user has set for other programs must not change the demo.
        Object.entries(process.env).filter(([key]) => !/^(OTEL|OTLP|SDK_MMAP)_/.test(key)),
      ),
      OTLP_MMAP_DIR: place,
      OTEL_SERVICE_NAME: name,
      ...env,
    },
  });
  children.push(child);
  const lines: string[] = [];
  let errors = "";
  createInterface({ input: child.stdout! }).on("line", (line) => lines.push(line));
  child.stderr!.on("data", (part) => errors += part);
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", resolve);
  });
  return {
    child,
    ended,
    async line(pattern) {
      let found: RegExpExecArray | null = null;
      await until(() => {
        if (child.exitCode !== null) throw new Error(`${name} ended: ${errors.trim()}`);
        found = lines.map((line) => pattern.exec(line)).find((match) => match !== null) ?? null;
        return found !== null;
      }, `${name} did not say ${pattern}: ${errors.trim()}`);
      return found!;
    },
  };
}

async function until(isSo: () => boolean, otherwise: string): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!isSo()) {
    if (Date.now() > deadline) throw new Error(otherwise);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
