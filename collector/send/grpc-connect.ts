/**
 * What happens on a connection before gRPC is spoken: a proxy is asked to pass it on, and hands are
 * shaken for TLS.
 *
 * @module
 */
import * as net from "node:net";
import * as tls from "node:tls";
import type { ChannelCredentials } from "@grpc/grpc-js";
import type { Target } from "../options/endpoint.ts";
import { NO_HTTP2 } from "./grpc-status.ts";
import type { Proxy } from "./proxy.ts";
import type { TlsMaterial } from "./tls.ts";
import { openTunnel } from "./tunnel.ts";

/** How to get to a server. */
export interface Way {
  readonly target: Target;
  readonly material: TlsMaterial;
  /** The connections are to this one. */
  readonly proxy?: Proxy;
}

/** The connections of a channel. */
export interface Handshakes {
  /** What makes grpc-js use them. */
  readonly credentials: ChannelCredentials;
  /** Closes those that are not ready, of which grpc-js itself never lets go. */
  cancel(): void;
}

/**
 * With grpc-js's own credentials a server can't be named by an address, and of a proxy that fails it
 * does not say why.
 *
 * @param failed Told what goes wrong, of which grpc-js passes on the text at most.
 */
export function createHandshakes(
  grpc: typeof import("@grpc/grpc-js"),
  { target, material, proxy }: Way,
  failed: (error: Error) => void,
): Handshakes {
  const pending = new Set<net.Socket>();
  const credentials = target.secure
    ? grpc.credentials.createFromSecureContext(tls.createSecureContext())
    : grpc.credentials.createInsecure();
  credentials._createSecureConnector = (_target, _options, callCredentials) => ({
    async connect(socket: net.Socket) {
      pending.add(socket);
      try {
        if (proxy !== undefined) await openTunnel(proxy, target, socket).socket;
        if (!target.secure) return { socket, secure: false };
        return { socket: await secure(socket, target, material), secure: true };
      } catch (error) {
        failed(error as Error);
        throw error;
      } finally {
        pending.delete(socket);
      }
    },
    waitForReady: () => Promise.resolve(),
    getCallCredentials: () => callCredentials ?? grpc.credentials.createEmpty(),
    destroy(): void {},
  });
  return {
    credentials,
    cancel(): void {
      for (const socket of pending) socket.destroy();
    },
  };
}

/** Shakes hands over a connection. */
function secure(
  socket: net.Socket,
  { host }: Target,
  material: TlsMaterial,
): Promise<tls.TLSSocket> {
  return new Promise((resolve, reject) => {
    const secured = tls.connect({
      ...material,
      socket,
      host,
      // Addresses are not sent.
      ...(net.isIP(host) === 0 ? { servername: host } : {}),
      ALPNProtocols: ["h2"],
    }, () => {
      if (!secured.authorized) reject(secured.authorizationError);
      else if (secured.alpnProtocol === "h2") resolve(secured);
      else reject(Object.assign(new Error("HTTP/2 was not agreed upon"), { code: NO_HTTP2 }));
    });
    secured.on("error", reject);
    secured.on("close", () => reject(new Error("Socket closed")));
  });
}
