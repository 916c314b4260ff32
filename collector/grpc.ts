/**
 * OTLP over gRPC: what becomes of one attempt to call a backend.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import * as net from "node:net";
import * as tls from "node:tls";
import type { ChannelCredentials, Client, ClientUnaryCall, Metadata } from "@grpc/grpc-js";
import type { Signal } from "../lib/otlp/request.ts";
import { parseTarget, type Target } from "./endpoint.ts";
import { type CallFacts, judgeResponse, judgeStatus, NO_HTTP2 } from "./grpc-status.ts";
import { grpcHeaderProblem, type Header, originsOf, USER_AGENT } from "./headers.ts";
import type { Answer, Attempt, Transport } from "./retrying.ts";
import type { SenderOptions } from "./send.ts";
import { NO_MATERIAL, type TlsMaterial } from "./tls.ts";

type Grpc = typeof import("@grpc/grpc-js");

/** The method of each signal. */
const METHODS: Readonly<Record<Signal, string>> = {
  traces: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
  metrics: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
  logs: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
};

/** Bytes of a response, decompressed, that are read at most. */
const MAX_RESPONSE_BYTES = 64 * 1024;

const STATUS_DETAILS = "grpc-status-details-bin";

let loaded: Promise<Grpc> | undefined;

/** grpc-js takes 60 to 110 ms to load: only who uses it should pay that. */
function loadGrpc(): Promise<Grpc> {
  loaded ??= import("@grpc/grpc-js").then((grpc) => {
    // Failures are said here, once; and what it traces when told to has headers in it.
    grpc.setLogVerbosity(grpc.logVerbosity.NONE);
    return grpc;
  });
  return loaded;
}

function identity(bytes: Buffer): Buffer {
  return bytes;
}

/** Headers that are options of the channel. */
const CHANNEL_HEADERS: ReadonlySet<string> = new Set(["host", "user-agent"]);

function metadataOf(grpc: Grpc, target: Target, headers: readonly Header[]): Metadata {
  const metadata = new grpc.Metadata();
  if (target.authorization !== undefined) metadata.set("authorization", target.authorization);
  for (const { name, value } of headers) {
    if (!CHANNEL_HEADERS.has(name.toLowerCase())) {
      metadata.set(name, /-bin$/i.test(name) ? Buffer.from(value, "base64") : value);
    }
  }
  return metadata;
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
  });
}

/**
 * Calls no server before the first attempt.
 *
 * @throws Error when the URL or a header can't be used.
 */
export function createGrpcTransport(options: SenderOptions): Transport {
  const { signal, headers = [], authorization, timeoutMs = 10_000 } = options;
  const currentMaterial = options.tls ?? (() => NO_MATERIAL);
  const origins = originsOf(headers, authorization);
  const target = parseTarget(options.url);
  for (const { name, value, source } of headers) {
    const problem = grpcHeaderProblem(name, value);
    if (problem !== undefined) throw new Error(`header "${name}" from ${source}: ${problem}`);
  }
  const header = (name: string): string | undefined =>
    headers.find((each) => each.name.toLowerCase() === name)?.value;
  let client: Client | undefined;
  let clientMaterial = NO_MATERIAL;
  let tlsError: Error | undefined;
  let closed = false;

  /** With grpc-js's own credentials a server can't be named by an address. */
  function credentials(grpc: Grpc, material: TlsMaterial): ChannelCredentials {
    if (!target.secure) return grpc.credentials.createInsecure();
    const own = grpc.credentials.createFromSecureContext(tls.createSecureContext());
    own._createSecureConnector = (_target, _options, callCredentials) => ({
      async connect(socket: net.Socket) {
        try {
          return { socket: await secure(socket, target, material), secure: true };
        } catch (error) {
          tlsError = error as Error;
          throw error;
        }
      },
      waitForReady: () => Promise.resolve(),
      getCallCredentials: () => callCredentials ?? grpc.credentials.createEmpty(),
      destroy(): void {},
    });
    return own;
  }

  function connect(grpc: Grpc, material: TlsMaterial): Client {
    const host = header("host");
    const address = net.isIPv6(target.host) ? `[${target.host}]` : target.host;
    return new grpc.Client(`dns:${address}:${target.port}`, credentials(grpc, material), {
      "grpc.primary_user_agent": header("user-agent") ?? USER_AGENT,
      "grpc.max_receive_message_length": MAX_RESPONSE_BYTES,
      // Each sender has its own connection: none is held back by what another one sends.
      "grpc.use_local_subchannel_pool": 1,
      // Retrying is ours, and nothing is asked of DNS but the address.
      "grpc.enable_retries": 0,
      "grpc.service_config_disable_resolution": 1,
      "grpc.enable_channelz": 0,
      ...(host === undefined ? {} : { "grpc.default_authority": host }),
      ...(options.compression === "gzip"
        ? { "grpc.default_compression_algorithm": 2 /* gzip */ }
        : {}),
    });
  }

  /** The channel, which is another one when the material has changed. Calls that run stay on theirs. */
  function currentClient(grpc: Grpc): Client {
    const material = currentMaterial();
    if (material !== clientMaterial) {
      client?.close();
      client = undefined;
      clientMaterial = material;
    }
    return client ??= connect(grpc, material);
  }

  /**
   * Forgets a channel that does not connect, or whose connection may be dead: its own backoff would
   * come on top of ours, and the next attempt looks up the name again.
   */
  function discard(grpc: Grpc, used: Client, code: number): void {
    const { connectivityState: { READY }, status: { DEADLINE_EXCEEDED } } = grpc;
    const ready = used.getChannel().getConnectivityState(false) === READY;
    if (client !== used || (ready && code !== DEADLINE_EXCEEDED)) return;
    client = undefined;
    used.close();
  }

  function attempt(payload: Uint8Array, items: number): Attempt {
    const facts: CallFacts = {
      signal,
      items,
      bytes: payload.length,
      timeoutMs,
      target,
      headers: origins,
    };
    const message = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
    let call: ClientUnaryCall | undefined;
    let cancelled = false;

    async function answer(): Promise<Answer> {
      const grpc = await loadGrpc();
      if (cancelled || closed) return { kind: "retry", key: "CANCELLED", reason: "cancelled" };
      const used = currentClient(grpc);
      const metadata = metadataOf(grpc, target, headers);
      if (authorization !== undefined) metadata.set("authorization", authorization());
      const deadline = Date.now() + timeoutMs;
      return await new Promise((resolve) => {
        call = used.makeUnaryRequest(
          METHODS[signal],
          identity,
          identity,
          message,
          metadata,
          { deadline },
          (error, response) => {
            if (error === null) {
              resolve(judgeResponse(response ?? new Uint8Array(), facts));
              return;
            }
            const { code, details, metadata: trailers } = error;
            discard(grpc, used, code);
            const statusDetails = trailers.get(STATUS_DETAILS)[0] as Buffer | undefined;
            resolve(judgeStatus({ code, details, statusDetails, tlsError }, facts));
          },
        );
      });
    }

    return {
      answer: answer(),
      cancel(): void {
        cancelled = true;
        call?.cancel();
      },
    };
  }

  return {
    url: target.url.replace(/\/$/, ""),
    prepare: (body: Uint8Array) => body,
    attempt,
    close(): void {
      closed = true;
      client?.close();
    },
  };
}
