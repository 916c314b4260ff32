/**
 * `import`: lines of OTLP/JSON to an endpoint.
 *
 * @module
 */
import type { Command } from "commander";
import { ReadStream, statSync } from "node:fs";
import process from "node:process";
import type { Readable } from "node:stream";
import type { Signal } from "../../lib/otlp/request.ts";
import { batchSize, filePaths } from "../options/arguments.ts";
import { Ending } from "../ending.ts";
import { chooseDestinations, originOf, type SendFlags } from "../options/destinations.ts";
import { givenTo } from "../options/given.ts";
import { openInput, readDocuments } from "../text/documents.ts";
import { log } from "../text/log.ts";
import { startProgress } from "../text/progress.ts";
import { addSendFlags, DEFAULT_BATCH_SIZE, ONCE_GIVES_UP_AFTER_MS } from "../options/options.ts";
import { withoutEffect } from "../options/without-effect.ts";
import { anyFromOtlpJson } from "../text/otlp-json.ts";
import type { AddCommand } from "../program.ts";
import { SendQueue } from "../pipeline/queue.ts";
import { MAX_REQUEST_BYTES } from "../pipeline/requests.ts";
import { forEachSignal, ITEMS, SIGNALS } from "../pipeline/signals.ts";
import { createPrinters, createSinks } from "../delivery/sinks.ts";
import { splitRequest } from "../send/split.ts";
import { describeTotals, fates } from "../pipeline/summary.ts";
import { firstLine, plural, printable, whyNotRead } from "../text/text.ts";

interface Flags extends SendFlags {
  batchSize: number;
}

/** So many bad lines of one file are named; all are counted. */
const MAX_NAMED = 20;

const helpText = `
Each line is one OTLP request as "export" and the file exporter of the OpenTelemetry Collector write
them; a document over several lines is read as well, and so are files that are packed with gzip.
Without files, and for -, reads standard input. A line that is bad is named, counted and passed.
Without an endpoint, each span, log record and data point is printed as one line. The variables about
sending and the rules of retrying are those of collect --once.

Examples:
  otlp-mmap import lines.json --endpoint http://localhost:4318
  otlp-mmap export app.otlp | otlp-mmap import --endpoint https://otlp.example.com
  zstd -dc traces.json.zst | otlp-mmap import -           print what is in it

Exit codes:
  0  everything was delivered
  1  a line was bad, or something could not be delivered
  2  a bad argument or variable, or a file that can't be read
  130, 143  ended by SIGINT or SIGTERM: what was read is sent, within 5 seconds, and it is said
            where reading ended; a second signal ends it at once
`;

/** The command. */
export const importCommand: AddCommand = (program, env, choose) => {
  const command = program.command("import")
    .description("send lines of OTLP/JSON to an endpoint (or print them)")
    .argument("[files...]", "files, or - for standard input", filePaths);
  addSendFlags(command)
    .option(
      "--batch-size <count>",
      "spans, data points or log records in a request at most",
      batchSize,
      DEFAULT_BATCH_SIZE,
    )
    .addHelpText("after", helpText)
    .action((files: string[], flags: Flags, command: Command) => {
      const given = givenTo(command);
      const destinations = chooseDestinations(flags, env, given);
      const origin = originOf(destinations, flags, env, given);
      for (const warning of withoutEffect({ command: "import", given, ...origin })) {
        log("warn", warning);
      }
      choose(() => run(files, flags.batchSize, destinations));
    });
};

async function run(
  files: readonly string[],
  limit: number,
  destinations: ReturnType<typeof chooseDestinations>,
): Promise<number> {
  // Whoever reads our lines may go away (`| head`): each write says so.
  process.stdout.on("error", () => {});
  const others = destinations === null ? [{ sinks: createPrinters() }] : [];
  const sinks = createSinks(destinations, ONCE_GIVES_UP_AFTER_MS, others);
  let wake = (): void => {};
  const queues = forEachSignal((signal) => new SendQueue(sinks[signal], () => wake()));
  const pause = (): Promise<void> => new Promise((resolve) => wake = resolve);
  const inputs = files.length === 0 ? ["-"] : files;
  // Bun may not end by itself while a terminal is read: there a signal ends it at once.
  const isTyped = inputs.includes("-") && process.stdin.isTTY;
  const ending = new Ending((reason) => {
    for (const signal of SIGNALS) sinks[signal].abort(reason);
  }, isTyped ? [] : undefined);
  // Of all files, and of those that were read.
  const bytes = files.reduce((sum, file) => sum + sizeOf(file), 0);
  let bytesDone = 0;
  let input: Readable | null = null;
  const rest = (): number =>
    SIGNALS.reduce(
      (sum, signal) => sum + queues[signal].unanswered,
      Math.max(0, bytes - bytesDone - bytesReadOf(input)),
    );
  const endProgress = startProgress("importing", rest, destinations === null);
  let unreadable = false;
  let read = 0;
  let bad = 0;
  let unread: string | null = null;
  for (const [i, file] of inputs.entries()) {
    const name = file === "-" ? "standard input" : printable(file);
    let named = 0;
    let reached = 0;
    const refuse = (line: number, problem: string): void => {
      bad++;
      if (++named <= MAX_NAMED) log("error", `${name}:${line}: ${firstLine(problem)}`);
      if (named === MAX_NAMED) log("error", `${name}: more bad lines are only counted`);
    };
    if (file === "-" && isTyped) log("info", "reading lines from the terminal; Ctrl-D ends them");
    try {
      input = openInput(file);
      const documents = readDocuments(input);
      for (let step; (step = await ending.first(documents.next())) !== undefined && !step.done;) {
        const document = step.value;
        reached = document.line;
        if ("problem" in document) {
          refuse(document.line, document.problem);
          continue;
        }
        let request: { signal: Signal; body: Uint8Array };
        try {
          request = anyFromOtlpJson(document.text);
        } catch (error) {
          if (document.line > 1 || !document.text.includes("\0")) {
            refuse(document.line, (error as Error).message);
            continue;
          }
          refuse(
            1,
            "it is no text, and not read on: what applications write into their files is sent with " +
              "`otlp-mmap collect --once`",
          );
          break;
        }
        read++;
        const { signal, body } = request;
        for (const part of splitRequest(signal, body, limit, MAX_REQUEST_BYTES)) {
          if (part.items === 0) continue;
          while (queues[signal].full && ending.signal === null) await ending.first(pause());
          queues[signal].push({
            signal,
            buffer: part.body as Uint8Array<ArrayBuffer>,
            length: part.body.length,
            items: part.items,
            processes: [],
          });
        }
      }
    } catch (error) {
      unreadable = true;
      log("error", `${name} can't be read: ${whyNotRead(error as Error)}`);
    }
    bytesDone += sizeOf(file);
    input = null;
    if (ending.signal === null) continue;
    unread = reached === 0 ? name : `of ${name} what follows line ${reached}`;
    const others = inputs.length - i - 1;
    if (others > 0) unread += `, and ${plural(others, "more file")}`;
    break;
  }
  while (SIGNALS.some((signal) => !queues[signal].empty)) await pause();
  endProgress();
  await Promise.all(SIGNALS.map((signal) => sinks[signal].close()));

  log("info", `${plural(read, "request")} read, ${plural(bad, "bad line")}`);
  if (unread !== null) log("warn", `ended by ${ending.signal}, not read: ${unread}`);
  let lost = false;
  for (const signal of SIGNALS) {
    const { totals, lanes } = queues[signal];
    if (totals.rejected + totals.dropped > 0) lost = true;
    if (lanes.length === 0) log("info", `${ITEMS[signal]}: ${describeTotals(totals)}`);
    for (const line of fates(signal, queues[signal])) log("info", line);
  }
  if (ending.code > 0) return ending.code;
  return unreadable ? 2 : lost || bad > 0 ? 1 : 0;
}

/** Bytes of a file; 0 for what has no size. */
function sizeOf(file: string): number {
  return file === "-" ? 0 : statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

function bytesReadOf(input: Readable | null): number {
  return input instanceof ReadStream ? input.bytesRead : 0;
}
