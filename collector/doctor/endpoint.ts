/**
 * Whether a backend takes what the collector sends: one empty request of each signal.
 *
 * @module
 */
import type { Signal } from "../../lib/otlp/request.ts";
import { type Connector, createConnector } from "../send/connect.ts";
import type { Destination } from "../options/destinations.ts";
import { parseTarget } from "../options/endpoint.ts";
import { SIGNALS } from "../pipeline/signals.ts";
import { printable } from "../text/text.ts";
import { bad, type Check, ok } from "./check.ts";

/** The first wait of the backoff is longer, so this is one attempt. */
const ONE_ATTEMPT_MS = 400;

/** @param destinations As `collect` has them; null when no endpoint is named. */
export async function checkEndpoints(
  destinations: Readonly<Record<Signal, readonly Destination[]>> | null,
): Promise<Check[]> {
  if (destinations === null) {
    return [
      ok("endpoint", "none is set (--endpoint), so a collector shows what it reads on a page"),
    ];
  }
  const connect = createConnector(ONE_ATTEMPT_MS, () => {});
  const all = SIGNALS.map((signal) => destinations[signal]);
  const checks: Promise<Check>[] = [];
  for (let index = 0; index < Math.max(...all.map(({ length }) => length)); index++) {
    SIGNALS.forEach((signal, of) => {
      const destination = all[of].at(index);
      if (destination !== undefined) checks.push(checkDestination(signal, destination, connect));
      else if (index === 0) checks.push(Promise.resolve(unnamed(signal)));
    });
  }
  return await Promise.all(checks);
}

function unnamed(signal: Signal): Check {
  return bad(
    "endpoint",
    `none is set for ${signal}, which are not sent then: set --endpoint, --${signal}-endpoint or ` +
      `OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_ENDPOINT`,
  );
}

async function checkDestination(
  signal: Signal,
  destination: Destination,
  connect: Connector,
): Promise<Check> {
  const url = printable(parseTarget(destination.url).url, 2048);
  // There no path says which.
  const name = destination.protocol === "grpc" ? `${url} for ${signal}` : url;
  const sender = connect(signal, destination);
  try {
    // An export request without anything in it is no bytes at all.
    const { reason, gaveUp } = await sender.send(new Uint8Array(0), 0);
    if (gaveUp || !sender.state.ok) {
      return bad("endpoint", `${name}: ${sender.state.lastError ?? reason}`);
    }
    const warning = reason === undefined ? "" : ` (${reason})`;
    return ok("endpoint", `${url} takes ${signal}${warning}`);
  } catch (error) {
    return bad("endpoint", `${name}: ${printable((error as Error).message)}`);
  } finally {
    await sender.close();
  }
}
