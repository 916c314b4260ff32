/**
 * Which proxy a request goes through, by the variables that curl and others know: HTTP_PROXY,
 * HTTPS_PROXY, ALL_PROXY and NO_PROXY, or the same in lower case, which wins.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { BlockList, isIP } from "node:net";
import type { Target } from "../options/endpoint.ts";
import { type Environment, type Setting, variable } from "../options/variables.ts";

/** An HTTP proxy. */
export interface Proxy {
  /** Its URL without credentials, for messages. */
  readonly url: string;
  /** The variable it comes from. */
  readonly source: string;
  /** Host name or address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** Value of the Proxy-Authorization header when the URL holds user name and password. */
  readonly authorization?: string;
}

/**
 * The proxy for a target; `undefined` when it is reached directly.
 *
 * @throws Error that names the variable whose value is no URL of an HTTP proxy; it does not repeat the
 * value, which may hold a password.
 */
export function chooseProxy(target: Target, env: Environment): Proxy | undefined {
  const found = anyCase(env, target.secure ? "HTTPS_PROXY" : "HTTP_PROXY") ??
    anyCase(env, "ALL_PROXY");
  if (found === undefined) return undefined;
  const direct = anyCase(env, "NO_PROXY")?.value ?? "";
  return isDirect(direct, target.host, target.port) ? undefined : parseProxy(found);
}

function anyCase(env: Environment, name: string): Setting | undefined {
  return variable(env, name.toLowerCase()) ?? variable(env, name);
}

function parseProxy({ value, source }: Setting): Proxy {
  let url: URL;
  let credentials: string;
  try {
    url = new URL(/^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`);
    credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  } catch {
    throw new Error(`${source} is not the URL of a proxy, such as http://proxy.example.com:3128`);
  }
  if (url.protocol !== "http:" || url.hostname === "") {
    throw new Error(
      `${source} names a proxy that is not spoken to with http:// (${url.protocol}//…), which is the ` +
        "only kind supported; name the endpoint's host in NO_PROXY to go without one",
    );
  }
  const proxy = {
    url: `http://${url.host}`,
    source,
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port === "" ? 80 : Number(url.port),
  };
  if (credentials === ":") return proxy;
  const authorization = `Basic ${Buffer.from(credentials, "utf8").toString("base64")}`;
  return { ...proxy, authorization };
}

/**
 * True when a host is in a NO_PROXY list: `*` is every host, `example.com`, `.example.com` and
 * `*.example.com` are the host and those below it, `10.0.0.0/8` is a network; with `:port` it is for
 * that port alone. Entries are parted by commas or blanks.
 */
export function isDirect(list: string, host: string, port: number): boolean {
  const name = host.toLowerCase().replace(/\.$/, "");
  return list.toLowerCase().split(/[\s,]+/).some((entry) => {
    if (entry === "") return false;
    if (entry === "*") return true;
    // More than one colon without brackets is an address of IPv6, and no port.
    const [, pattern = entry, only] = /^\[([^\]]*)\](?::(\d+))?$/.exec(entry) ??
      /^([^:]+):(\d+)$/.exec(entry) ?? [];
    if (only !== undefined && Number(only) !== port) return false;
    if (isIP(name) !== 0) return isInNetwork(pattern, name);
    const domain = pattern.replace(/^\*?\./, "");
    return name === domain || name.endsWith(`.${domain}`);
  });
}

/** @param network An address, or one with the length of a prefix. */
function isInNetwork(network: string, address: string): boolean {
  const [base, prefix] = network.split("/");
  const family = isIP(base);
  if (family === 0 || family !== isIP(address)) return false;
  const bits = family === 4 ? 32 : 128;
  const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : -1;
  if (length < 0 || length > bits) return false;
  const type = family === 4 ? "ipv4" : "ipv6";
  const list = new BlockList();
  list.addSubnet(base, length, type);
  return list.check(address, type);
}
