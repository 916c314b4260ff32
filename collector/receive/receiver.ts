/**
 * The receiver as a whole: both servers, as far as they can be had.
 *
 * @module
 */
import type { Log } from "../send/problems.ts";
import { explain } from "../serve/serve.ts";
import { startGrpcReceiver } from "./grpc.ts";
import { hostInUrl, type Receiving, startHttpReceiver } from "./http.ts";
import type { Intake, TransportName } from "./intake.ts";

/** Where to listen, as it was asked for. */
export interface ReceiverOptions {
  readonly host: string;
  /** 0: one that is free. */
  readonly httpPort: number;
  readonly grpcPort: number;
  /** Origins whose pages may post over HTTP, in lower case; `*` for all. */
  readonly origins: readonly string[];
  /** People know the options by these names. */
  readonly sources: Readonly<Record<TransportName, string>>;
  /** A request has come whole after so many milliseconds. Default 10,000. */
  readonly requestTimeoutMs?: number;
}

/** What listens. */
export interface Receiver {
  /** The port of each that does; of one that can't, none. */
  readonly ports: Readonly<Partial<Record<TransportName, number>>>;
  /** Where that is, as it was said. */
  readonly addresses: readonly string[];
  /** Ends it, after what is being answered. */
  close(): Promise<void>;
}

const REQUEST_TIMEOUT_MS = 10_000;

/**
 * Listens, and says where. An address that can't be listened at is said as well, and gone without:
 * what is in files is collected all the same.
 */
export async function startReceiver(
  options: ReceiverOptions,
  intake: Intake,
  log: Log,
): Promise<Receiver> {
  const { host, httpPort, grpcPort, origins, sources } = options;
  const { requestTimeoutMs = REQUEST_TIMEOUT_MS } = options;
  const started: Partial<Record<TransportName, Receiving>> = {};
  const addresses: string[] = [];

  async function start(
    name: TransportName,
    port: number,
    listen: () => Promise<Receiving>,
  ): Promise<void> {
    const what = name === "http" ? "OTLP/HTTP" : "OTLP/gRPC";
    try {
      const server = started[name] = await listen();
      const scheme = name === "http" ? "http://" : "";
      const address = `${scheme}${hostInUrl(host)}:${server.port}`;
      addresses.push(address);
      log("info", `${what} is received at ${address}`);
    } catch (error) {
      const where = `${sources[name]} ${hostInUrl(host)}:${port}`;
      log(
        "error",
        `${where}: ${explain(error as Error)}. No ${what} is received; all else goes on`,
      );
    }
  }

  await start(
    "http",
    httpPort,
    () => startHttpReceiver({ host, port: httpPort, origins, requestTimeoutMs }, intake),
  );
  await start(
    "grpc",
    grpcPort,
    () => startGrpcReceiver({ host, port: grpcPort, requestTimeoutMs }, intake),
  );
  return {
    ports: Object.fromEntries(
      Object.entries(started).map(([name, { port }]) => [name, port]),
    ),
    addresses,
    async close() {
      await Promise.all(Object.values(started).map((server) => server.close()));
    },
  };
}
