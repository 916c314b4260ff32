/**
 * Request headers: which are ours, and which of the user's can be sent.
 *
 * @module
 */
import packageJson from "../../package.json" with { type: "json" };
import type { Target } from "../options/endpoint.ts";
import type { Authorization } from "./token.ts";

/** A request header. */
export interface Header {
  readonly name: string;
  readonly value: string;
  /** The flag or variable it comes from, named when the backend refuses credentials. */
  readonly source: string;
}

/** What a header is called and where it comes from, without its value. */
export type HeaderOrigin = Pick<Header, "name" | "source">;

/** The origins of all headers of a request, also of one whose value changes or is in the URL. */
export function originsOf(
  headers: readonly Header[],
  authorization: Authorization | undefined,
  target: Pick<Target, "authorization">,
): HeaderOrigin[] {
  const name = "authorization";
  if (authorization !== undefined) return [...headers, { name, source: authorization.source }];
  const isReplaced = headers.some((header) => header.name.toLowerCase() === name);
  if (target.authorization === undefined || isReplaced) return [...headers];
  return [...headers, { name, source: "user name and password of the endpoint" }];
}

/** Value of the User-Agent header. */
export const USER_AGENT: string = `OTel-OTLP-Exporter-otlp-mmap/${packageJson.version}`;

/** Headers about how a request is carried, which are not the user's to set. */
export const OWN_HEADERS: ReadonlySet<string> = new Set([
  "connection",
  "content-encoding",
  "content-length",
  "content-type",
  "trailer",
  "transfer-encoding",
]);

/**
 * Says what is wrong with a header, `undefined` when nothing is.
 */
export function headerProblem(name: string, value: string): string | undefined {
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) return "its name is not a valid header name";
  if (OWN_HEADERS.has(name.toLowerCase())) return "this header is set by otlp-mmap itself";
  // A line break would end the header and start another.
  if (/(?!\t)\p{Cc}/u.test(value)) return "its value has control characters in it";
  return undefined;
}

/**
 * The same for gRPC, which allows less ("Custom-Metadata" in the specification of gRPC over HTTP/2).
 */
export function grpcHeaderProblem(name: string, value: string): string | undefined {
  const problem = headerProblem(name, value);
  if (problem !== undefined) return problem;
  if (!/^[0-9a-z_.-]+$/i.test(name)) return "its name is not valid in gRPC";
  if (/^(grpc-|te$)/i.test(name)) return "gRPC itself sets this header";
  if (!/^[ -~]*$/.test(value)) return "gRPC takes only printable ASCII characters as a value";
  if (/-bin$/i.test(name) && !/^[0-9a-z+/]+={0,2}$/i.test(value)) {
    return "its name ends in -bin, so its value has to be base64";
  }
  return undefined;
}
