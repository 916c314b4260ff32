/**
 * The options of the receiver.
 *
 * @module
 */
import { type Command, InvalidArgumentError, Option } from "commander";
import { isIP } from "node:net";
import { ANY_ORIGIN, isLoopback } from "../receive/origins.ts";
import type { ReceiverOptions } from "../receive/receiver.ts";
import { ArgumentsExit, repeated } from "./arguments.ts";
import type { Destination } from "./destinations.ts";
import { parseTarget } from "./endpoint.ts";
import type { Given } from "./given.ts";

/** The ports of OTLP, as they are registered. */
const HTTP_PORT = 4318;
const GRPC_PORT = 4317;
const DEFAULT_HOST = "127.0.0.1";

/** The flags. */
export interface ReceiverFlags {
  /** null: off, which only a file says. */
  otlpReceiver?: string | null;
  otlpHttpPort?: number;
  otlpGrpcPort?: number;
  otlpAllowOrigin?: string[];
}

/** Adds them to a command. */
export function addReceiverFlags(command: Command): Command {
  return command
    .addOption(
      new Option(
        "--otlp-receiver [address]",
        "receive OTLP over HTTP and gRPC at an address (default: 127.0.0.1)",
      ).preset(DEFAULT_HOST).argParser(receiverHost),
    )
    .option("--otlp-http-port <port>", "its port for HTTP; 0: a free one (default: 4318)", port)
    .option("--otlp-grpc-port <port>", "its port for gRPC; 0: a free one (default: 4317)", port)
    .option(
      "--otlp-allow-origin <origin>",
      "pages that may send to it, such as https://shop.example, or * (repeatable)",
      repeated(origin),
    );
}

function receiverHost(text: string): string | null {
  // In a file, it is on or off where no address is given.
  if (text === "true") return DEFAULT_HOST;
  if (text === "false") return null;
  if (text === "localhost") return DEFAULT_HOST;
  const host = text.replace(/^\[(.*)\]$/, "$1");
  if (isIP(host) !== 0) return host;
  throw new InvalidArgumentError(
    "It is no address such as 127.0.0.1, 0.0.0.0 or ::1 (paths go before this option).",
  );
}

function port(text: string): number {
  const value = /^\d{1,5}$/.test(text) ? Number(text) : Infinity;
  if (value > 65_535) throw new InvalidArgumentError("It is no port from 0 to 65535.");
  return value;
}

function origin(text: string): string {
  if (text === ANY_ORIGIN) return text;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.origin === "null" || url.href !== `${url.origin}/`) {
    throw new InvalidArgumentError("It is no origin such as https://shop.example, nor *.");
  }
  return url.origin;
}

/**
 * The receiver that was asked for; null: none.
 *
 * @throws ArgumentsExit where it can't work together with other options.
 */
export function chooseReceiver(
  flags: ReceiverFlags & { once?: boolean },
  destinations: readonly Destination[],
  given: Given,
): ReceiverOptions | null {
  const { otlpReceiver: host = null } = flags;
  if (host === null) return null;
  const { otlpHttpPort: httpPort = HTTP_PORT, otlpGrpcPort: grpcPort = GRPC_PORT } = flags;
  const name = given.nameOf("otlp-receiver");
  if (flags.once) {
    const once = given.nameOf("once");
    throw new ArgumentsExit(2, `${name} and ${once} exclude each other: what comes, comes later`);
  }
  if (httpPort === grpcPort && httpPort !== 0) {
    throw new ArgumentsExit(
      2,
      `${name}: HTTP and gRPC can't share port ${httpPort}; choose others with --otlp-http-port ` +
        "and --otlp-grpc-port",
    );
  }
  for (const { url } of destinations) {
    const target = parseTarget(url);
    if (target.port !== httpPort && target.port !== grpcPort) continue;
    if (target.host !== host && !isLoopback(target.host)) continue;
    throw new ArgumentsExit(
      2,
      `${name}: the endpoint ${target.url} is this receiver, and what it sent would come back for ` +
        "ever; choose other ports with --otlp-http-port and --otlp-grpc-port",
    );
  }
  return {
    host,
    httpPort,
    grpcPort,
    origins: flags.otlpAllowOrigin ?? [],
    sources: { http: given.sourceOf("otlp-http-port"), grpc: given.sourceOf("otlp-grpc-port") },
  };
}
