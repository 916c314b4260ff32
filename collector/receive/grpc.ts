/**
 * OTLP over gRPC: a server for the three services ("OTLP/gRPC" in the OTLP specification).
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { type AddressInfo, createServer, type Socket } from "node:net";
import type {
  Metadata,
  sendUnaryData,
  ServerInterceptingCall,
  ServerInterceptingCallInterface,
  ServerUnaryCall,
} from "@grpc/grpc-js";
import { type Grpc, loadGrpc, METHODS, STATUS_DETAILS } from "../send/grpc.ts";
import { SIGNALS } from "../pipeline/signals.ts";
import { firstLine } from "../text/text.ts";
import { MAX_CONNECTIONS, type Receiving } from "./http.ts";
import type { Intake } from "./intake.ts";
import { CODES } from "./reply.ts";
import { type Failure, failureDetails, successBody } from "./respond.ts";

/** Where to listen. */
export interface GrpcReceiverOptions {
  readonly host: string;
  /** 0: one that is free. */
  readonly port: number;
  /** A request has come whole after so many milliseconds, or its connection is cut. */
  readonly requestTimeoutMs: number;
}

/** Bytes of a message at most, also decompressed: what gRPC servers take unless told otherwise. */
export const MAX_MESSAGE_BYTES = 4 << 20;
/** Calls on one connection at the same time. */
const MAX_STREAMS = 64;
/** Calls whose message is not there yet, of all connections: each may take up twice the above. */
const MAX_READING = 32;
/** A connection without calls is closed; exporters send every minute or sooner. */
const IDLE_MS = 300_000;
/** A connection has its first call after so many times what a request may take, or is cut. */
const FIRST_CALL = 6;
/** How long answers on their way may take at the end. */
const CLOSE_MS = 1_000;

/** What `grpc-message` has room for beside other headers. */
const MAX_DETAILS = 1_000;

/**
 * Listens.
 *
 * @throws the error of the system, when the address can't be listened at.
 */
export async function startGrpcReceiver(
  { host, port, requestTimeoutMs }: GrpcReceiverOptions,
  intake: Intake,
): Promise<Receiving> {
  const grpc = await loadGrpc();
  // By address and port, which is what a call knows of its connection.
  const connections = new Map<string, Connection>();
  const server = new grpc.Server({
    "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
    "grpc.max_concurrent_streams": MAX_STREAMS,
    "grpc.max_connection_idle_ms": IDLE_MS,
    "grpc.enable_channelz": 0,
    interceptors: [limitReading(grpc, intake, connections, requestTimeoutMs)],
  });
  for (const signal of SIGNALS) {
    const method = {
      path: METHODS[signal],
      requestStream: false as const,
      responseStream: false as const,
      requestSerialize: identity,
      requestDeserialize: identity,
      responseSerialize: identity,
      responseDeserialize: identity,
    };
    server.addService({ Export: method }, {
      async Export(call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) {
        const reply = await intake.take("grpc", signal, call.request);
        if (reply.kind === "taken") {
          answer(null, Buffer.from(successBody(signal, reply, "application/x-protobuf")));
        } else answer(statusOf(grpc, reply));
      },
    });
  }
  // The connections are ours, so that they can be counted and cut.
  const injector = server.createConnectionInjector(grpc.ServerCredentials.createInsecure());
  const listener = createServer((socket) => {
    const peer = `${socket.remoteAddress}:${socket.remotePort}`;
    // Who says nothing at all is not waited for.
    const timer = setTimeout(() => socket.destroy(), FIRST_CALL * requestTimeoutMs);
    connections.set(peer, { socket, timer });
    socket.on("error", () => {});
    socket.once("close", () => {
      clearTimeout(timer);
      connections.delete(peer);
    });
    injector.injectConnection(socket);
  });
  listener.maxConnections = MAX_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    listener.once("error", reject);
    listener.listen(port, host, resolve);
  });
  listener.on("error", () => {});
  // What is received never keeps the collector from ending.
  listener.unref();
  return {
    port: (listener.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        // Calls that run are answered, and no more are begun.
        injector.destroy();
        const timer = setTimeout(() => {
          server.forceShutdown();
          for (const { socket } of connections.values()) socket.destroy();
        }, CLOSE_MS);
        listener.close(() => {
          clearTimeout(timer);
          resolve();
        });
      }),
  };
}

interface Connection {
  readonly socket: Socket;
  /** Cuts it, unless there is a call. */
  readonly timer: ReturnType<typeof setTimeout>;
}

function identity(bytes: Buffer): Buffer {
  return bytes;
}

interface CallStatus {
  readonly code: number;
  readonly details: string;
  readonly metadata: Metadata;
}

function statusOf(grpc: Grpc, failure: Failure): CallStatus {
  const metadata = new grpc.Metadata();
  metadata.set(STATUS_DETAILS, Buffer.from(failureDetails(failure)));
  const details = firstLine(failure.reason).slice(0, MAX_DETAILS).toWellFormed();
  return { code: CODES[failure.kind][1], details, metadata };
}

/** Bounds how many messages come in at the same time, and how long each may take. */
function limitReading(
  grpc: Grpc,
  intake: Intake,
  connections: ReadonlyMap<string, Connection>,
  timeoutMs: number,
): (method: unknown, call: ServerInterceptingCallInterface) => ServerInterceptingCall {
  let reading = 0;
  return (_method, call) =>
    new grpc.ServerInterceptingCall(call, {
      start(next) {
        const connection = connections.get(call.getPeer());
        clearTimeout(connection?.timer);
        if (reading >= MAX_READING) {
          const failure = { kind: "busy", reason: "too many requests are being read" } as const;
          intake.refuse("grpc", failure.kind, failure.reason);
          call.sendStatus(statusOf(grpc, failure));
          return;
        }
        reading++;
        let isRead = false;
        const read = (): void => {
          if (isRead) return;
          isRead = true;
          reading--;
          clearTimeout(timer);
        };
        const timer = setTimeout(() => {
          read();
          intake.refuse("grpc", "timeout", "");
          // A status alone would leave what came so far in memory.
          connection?.socket.destroy();
        }, timeoutMs);
        next({
          onReceiveMetadata: (metadata, pass) => pass(metadata),
          onReceiveMessage(message, pass) {
            read();
            pass(message);
          },
          onReceiveHalfClose: (pass) => pass(),
          onCancel: read,
        });
      },
    });
}
