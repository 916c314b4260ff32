/**
 * The options of the page.
 *
 * @module
 */
import { type Command, InvalidArgumentError, Option } from "commander";
import { isIP } from "node:net";
import type { Listener } from "../serve/serve.ts";
import { ArgumentsExit } from "./arguments.ts";
import type { Given } from "./given.ts";

/** Beside the ports of OTLP. */
const DEFAULT_PORT = 4319;
const DEFAULT_HOST = "127.0.0.1";

/** The flags. */
export interface PageFlags {
  /** null: off, which only a file says. */
  ui?: string | null;
  uiPort?: number;
}

/** Adds them to a command. */
export function addPageFlags(command: Command): Command {
  return command
    .addOption(
      new Option(
        "--ui [address]",
        "store everything, and serve a page that shows it, at an address (default: 127.0.0.1)",
      ).preset(DEFAULT_HOST).argParser(pageHost),
    )
    .option("--ui-port <port>", "its port; 0: a free one (default: 4319)", pagePort);
}

function pageHost(text: string): string | null {
  // In a file, it is on or off where no address is given.
  if (text === "true" || text === "localhost") return DEFAULT_HOST;
  if (text === "false") return null;
  const host = text.replace(/^\[(.*)\]$/, "$1");
  if (isIP(host) !== 0) return host;
  throw new InvalidArgumentError(
    "It is no address such as 127.0.0.1, 0.0.0.0 or ::1 (paths go before this option).",
  );
}

function pagePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Infinity;
  if (port > 65_535) throw new InvalidArgumentError("It is no port from 0 to 65535.");
  return port;
}

/**
 * Where the page is served; null: nowhere.
 *
 * @param byDefault Serve it unless something else was asked for.
 * @throws ArgumentsExit where it can't work together with other options.
 */
export function choosePage(
  { ui, uiPort = DEFAULT_PORT, once }: PageFlags & { once?: boolean },
  byDefault: boolean,
  given: Given,
): Listener | null {
  if (ui === null || (ui === undefined && !byDefault)) return null;
  if (once) {
    const name = given.nameOf("ui");
    throw new ArgumentsExit(
      2,
      `${name} and ${
        given.nameOf("once")
      } exclude each other: the page is served while files are followed`,
    );
  }
  return { address: { host: ui ?? DEFAULT_HOST, port: uiPort }, source: given.sourceOf("ui-port") };
}
