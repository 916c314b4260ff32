/**
 * Who may post from a browser. A page of any site can reach what listens on this machine, so requests
 * with an `Origin` are refused unless it was allowed, and so are names that a page's own DNS could
 * have given to this machine.
 *
 * @module
 */
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";
import { isIP } from "node:net";

/** Any origin. */
export const ANY_ORIGIN = "*";

/**
 * Why a request is refused for where it comes from; `undefined` when it is not.
 *
 * @param onlyLocal The collector is reached on this machine alone, so it has no name elsewhere.
 */
export function whyForbidden(
  { host, origin }: IncomingHttpHeaders,
  allowed: readonly string[],
  onlyLocal: boolean,
): string | undefined {
  if (origin !== undefined) {
    if (allowed.includes(ANY_ORIGIN) || allowed.includes(origin.toLowerCase())) return undefined;
    return "pages of this origin may not send telemetry here; --otlp-allow-origin allows one";
  }
  if (onlyLocal && host !== undefined && !isLocalName(host)) {
    return "this name is not one of the collector's; use its address or localhost";
  }
  return undefined;
}

/** Is it an address that only this machine reaches? */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}

/** An address, or a name that nobody can register and point at this machine. */
function isLocalName(host: string): boolean {
  const name = host.toLowerCase().replace(/:\d*$/, "").replace(/^\[(.*)\]$/, "$1")
    .replace(/\.$/, "");
  return isIP(name) !== 0 || !name.includes(".") || /\.(localhost|internal|local)$/.test(name);
}

/** The headers by which a browser lets the page of an allowed origin read the answer. */
export function corsHeaders({ origin }: IncomingHttpHeaders): OutgoingHttpHeaders {
  return origin === undefined ? {} : { "access-control-allow-origin": origin, "vary": "origin" };
}

/** The answer to a browser that asks whether a page may post. */
export function preflightHeaders(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  const wanted = headers["access-control-request-headers"];
  return {
    ...corsHeaders(headers),
    "access-control-allow-methods": "POST",
    "access-control-allow-headers": wanted ?? "content-type, content-encoding",
    "access-control-max-age": "600",
    ...(headers["access-control-request-private-network"] === "true"
      ? { "access-control-allow-private-network": "true" }
      : {}),
  };
}
