/**
 * From destinations, which are plain data, to senders, which look at the files that these name.
 *
 * @module
 */
import type { Signal } from "../../lib/otlp/request.ts";
import type { Destination } from "../options/destinations.ts";
import type { Log } from "./problems.ts";
import { createSender, type Sender } from "./send.ts";
import { type TlsFiles, watchTls } from "./tls.ts";
import { type TokenFile, watchToken } from "./token.ts";
import { shared } from "./watched-files.ts";

/** Makes a sender of what is sent to a destination. */
export type Connector = (signal: Signal, destination: Destination) => Sender;

/**
 * Makes a function that makes senders, which throws an Error when a file or the destination can't be
 * used. Files that several destinations name are watched once.
 *
 * @param giveUpAfterMs A batch is given up after this many milliseconds of trying.
 */
export function createConnector(giveUpAfterMs: number, log: Log): Connector {
  const tokenOf = shared((file: TokenFile) => watchToken(file, log));
  const tlsOf = shared((files: TlsFiles) => watchTls(files, log));
  return (signal, { tokenFile, tls, ...rest }) =>
    createSender({
      ...rest,
      tls: tlsOf(tls),
      ...(tokenFile === undefined ? {} : { authorization: tokenOf(tokenFile) }),
      signal,
      // Without a limit of its own, an attempt would go on after that.
      timeoutMs: Math.min(rest.timeoutMs, giveUpAfterMs),
      maxElapsedMs: giveUpAfterMs,
      log,
    });
}
