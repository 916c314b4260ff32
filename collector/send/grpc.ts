/**
 * OTLP over gRPC: what becomes of one attempt to call a backend.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import * as net from "node:net";
import type { Client, ClientUnaryCall, Metadata } from "@grpc/grpc-js";
import type { Signal } from "../../lib/otlp/request.ts";
import { parseTarget, type Target } from "../options/endpoint.ts";
import { createHandshakes, type Handshakes } from "./grpc-connect.ts";
import { noteSent } from "./grpc-copies.ts";
import { pack, sendPacked } from "./grpc-gzip.ts";
import {
  type CallFacts,
  judgeResponse,
  judgeStatus,
  MAX_RESPONSE_BYTES,
  TEXT,
} from "./grpc-status.ts";
import { grpcHeaderProblem, type Header, originsOf, USER_AGENT } from "./headers.ts";
import type { Answer, Attempt, Transport } from "./retrying.ts";
import type { SenderOptions } from "./send.ts";
import { NO_MATERIAL, type TlsMaterial } from "./tls.ts";

/** grpc-js. */
export type Grpc = typeof import("@grpc/grpc-js");

/** The method of each signal. */
export const METHODS: Readonly<Record<Signal, string>> = {
  traces: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
  metrics: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
  logs: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
};

/** Trailer with a google.rpc.Status. */
export const STATUS_DETAILS = "grpc-status-details-bin";

let loaded: Promise<Grpc> | undefined;

/** grpc-js takes 60 to 110 ms to load: only who uses it should pay that. */
export function loadGrpc(): Promise<Grpc> {
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

function addressOf(host: string, port: number): string {
  return `${net.isIPv6(host) ? `[${host}]` : host}:${port}`;
}

/** A connection, and what it was made with. */
interface Channel {
  readonly client: Client;
  readonly material: TlsMaterial;
  readonly handshakes: Handshakes;
}

/**
 * Calls no server before the first attempt.
 *
 * @throws Error when the URL or a header can't be used.
 */
export function createGrpcTransport(options: SenderOptions): Transport {
  const { signal, headers = [], authorization, proxy, timeoutMs = 10_000 } = options;
  const currentMaterial = options.tls ?? (() => NO_MATERIAL);
  const target = parseTarget(options.url);
  const origins = originsOf(headers, authorization, target);
  for (const { name, value, source } of headers) {
    const problem = grpcHeaderProblem(name, value);
    if (problem !== undefined) throw new Error(`header "${name}" from ${source}: ${problem}`);
  }
  const header = (name: string): string | undefined =>
    headers.find((each) => each.name.toLowerCase() === name)?.value;
  let channel: Channel | undefined;
  let handshakeError: Error | undefined;
  let packs = options.compression === "gzip";
  let closed = false;

  function connect(grpc: Grpc, material: TlsMaterial): Channel {
    const host = header("host");
    const { host: name, port } = proxy ?? target;
    const handshakes = createHandshakes(grpc, { target, material, proxy }, (error) => {
      handshakeError = error;
    });
    const client = new grpc.Client(`dns:${addressOf(name, port)}`, handshakes.credentials, {
      "grpc.primary_user_agent": header("user-agent") ?? USER_AGENT,
      "grpc.max_receive_message_length": MAX_RESPONSE_BYTES,
      // Each sender has its own connection: none is held back by what another one sends.
      "grpc.use_local_subchannel_pool": 1,
      // Retrying and proxies are ours, and nothing is asked of DNS but the address.
      "grpc.enable_retries": 0,
      "grpc.enable_http_proxy": 0,
      "grpc.service_config_disable_resolution": 1,
      "grpc.enable_channelz": 0,
      "grpc.default_authority": host ?? addressOf(target.host, target.port),
    });
    if (options.compression === "gzip") sendPacked(grpc, client, (taken) => packs = taken);
    return { client, material, handshakes };
  }

  function disconnect({ client, handshakes }: Channel): void {
    client.close();
    handshakes.cancel();
  }

  /** Another one when the material has changed. Calls that run stay on theirs. */
  function currentChannel(grpc: Grpc): Channel {
    const material = currentMaterial();
    if (channel !== undefined && channel.material !== material) {
      disconnect(channel);
      channel = undefined;
    }
    return channel ??= connect(grpc, material);
  }

  /**
   * Forgets a channel that does not connect, or whose connection may be dead: its own backoff would
   * come on top of ours, and the next attempt looks up the name again.
   */
  function discard(grpc: Grpc, used: Channel, code: number): void {
    const { connectivityState: { READY }, status: { DEADLINE_EXCEEDED } } = grpc;
    const ready = used.client.getChannel().getConnectivityState(false) === READY;
    if (channel !== used || (ready && code !== DEADLINE_EXCEEDED)) return;
    channel = undefined;
    disconnect(used);
  }

  function attempt(payload: Uint8Array, items: number): Attempt {
    const facts: CallFacts = {
      signal,
      items,
      bytes: payload.length,
      timeoutMs,
      target,
      proxy,
      headers: origins,
    };
    const whole = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
    let call: ClientUnaryCall | undefined;
    let cancelled = false;

    /**
     * A text in place of an answer doesn't tell a proxy that has no backend from one that finds the
     * request too large. The latter lets a request without anything in it through.
     */
    async function answer(): Promise<Answer> {
      const given = await exchange(whole);
      if (given.kind !== "retry" || given.key !== TEXT || whole.length === 0) return given;
      const { kind } = await exchange(Buffer.alloc(0));
      const { key, reason } = given;
      return kind === "taken" ? { kind: "too-large", key, reason } : given;
    }

    async function exchange(message: Buffer): Promise<Answer> {
      const grpc = await loadGrpc();
      const metadata = metadataOf(grpc, target, headers);
      const content = packs && message.length > 0 ? await pack(message, metadata) : message;
      if (cancelled || closed) return { kind: "retry", key: "CANCELLED", reason: "cancelled" };
      noteSent(content.length);
      const used = currentChannel(grpc);
      if (authorization !== undefined) metadata.set("authorization", authorization.value());
      const deadline = Date.now() + timeoutMs;
      return await new Promise((resolve) => {
        call = used.client.makeUnaryRequest(
          METHODS[signal],
          identity,
          identity,
          content,
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
            resolve(judgeStatus({ code, details, statusDetails, handshakeError }, facts));
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
      if (channel !== undefined) disconnect(channel);
    },
  };
}
