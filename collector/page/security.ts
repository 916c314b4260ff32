/**
 * Who may look at the page: whoever has the token that was printed where it was started, and no page
 * of any other site, whatever name it gave to this machine.
 *
 * @module
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";
import { hostname } from "node:os";
import { isIP } from "node:net";
import { isLoopback } from "../receive/origins.ts";

/** Sent with everything. */
export const HEADERS: OutgoingHttpHeaders = {
  "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; " +
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; " +
    "frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

/** A new token: 32 random bytes as text. */
export function createToken(): string {
  return randomBytes(32).toString("base64url");
}

/** Who is let in. */
export interface Guard {
  /** Why a request is refused for where it comes from; undefined when it is not. */
  whyForbidden(headers: IncomingHttpHeaders): string | undefined;
  /** Does it have the token, in the cookie or as `Authorization: Bearer`? */
  isKnown(headers: IncomingHttpHeaders): boolean;
  /** Is this the token? */
  isToken(text: string): boolean;
  /** The cookie that stands for the token. */
  readonly cookie: string;
}

/**
 * Makes a guard.
 *
 * @param host The address that is listened at.
 * @param port As it is.
 */
export function createGuard(host: string, port: number, token: string): Guard {
  const wanted = digest(token);
  // Cookies know no ports: another collector of this machine has one of another name.
  const name = `otlp-mmap-${port}`;
  const isToken = (text: string): boolean => timingSafeEqual(digest(text), wanted);
  return {
    isToken,
    cookie: `${name}=${token}; HttpOnly; SameSite=Strict; Path=/`,
    whyForbidden(headers) {
      const at = headers.host?.toLowerCase() ?? "";
      if (!isOwnName(at, host, port)) {
        return "this is not a name of the page; open the address that was printed";
      }
      const { origin, "sec-fetch-site": site } = headers;
      if (origin !== undefined && origin.toLowerCase() !== `http://${at}`) {
        return "pages of other origins may not ask here";
      }
      if (site !== undefined && site !== "same-origin" && site !== "none") {
        return "pages of other sites may not ask here";
      }
      return undefined;
    },
    isKnown(headers) {
      const bearer = /^bearer +(\S+)$/i.exec(headers.authorization ?? "")?.[1];
      if (bearer !== undefined) return isToken(bearer);
      return (headers.cookie ?? "").split(";").some((pair) => {
        const at = pair.indexOf("=");
        return pair.slice(0, at).trim() === name && isToken(pair.slice(at + 1).trim());
      });
    },
  };
}

function digest(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}

/** Is this what a `Host` header says of somebody who asks this server? */
function isOwnName(header: string, host: string, port: number): boolean {
  const match = /^(\[[0-9a-f:.]+\]|[^:\s]+)(?::(\d+))?$/.exec(header);
  if (match === null || Number(match[2] ?? 80) !== port) return false;
  const name = match[1].replace(/^\[(.*)\]$/, "$1");
  if (name === host.toLowerCase()) return true;
  if (isLoopback(host)) return ["localhost", "127.0.0.1", "::1"].includes(name);
  // Nobody's DNS is asked for addresses, so nobody else can have made these mean this machine.
  if (host === "0.0.0.0" || host === "::") {
    return isIP(name) !== 0 || name === "localhost" || name === hostname().toLowerCase();
  }
  return false;
}
