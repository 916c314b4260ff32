/**
 * Answers as bytes: the response of a signal, or a google.rpc.Status, in protobuf or JSON.
 *
 * @module
 */
import { create, type DescMessage, type Message, toBinary, toJson } from "@bufbuild/protobuf";
import { anyPack, DurationSchema } from "@bufbuild/protobuf/wkt";
import type { Signal } from "../../lib/otlp/request.ts";
import {
  ExportLogsServiceResponseSchema,
  ExportMetricsServiceResponseSchema,
  ExportTraceServiceResponseSchema,
  RetryInfoSchema,
  RpcStatusSchema,
} from "../../proto/gen/otlp_pb.ts";
import { CODES, type Reply, RETRY_SECONDS } from "./reply.ts";

/** How messages are written in HTTP: by their media types. */
export type Encoding = "application/x-protobuf" | "application/json";

/** A reply that is no success. */
export type Failure = Exclude<Reply, { kind: "taken" }>;

function responseOf(
  signal: Signal,
  reply: Exclude<Reply, Failure>,
): [schema: DescMessage, message: Message] {
  const { reason: errorMessage } = reply;
  const rejected = BigInt(reply.rejected);
  // Left out where there is nothing to say, as OTLP wants it.
  const some = <T>(partialSuccess: T): { partialSuccess?: T } =>
    rejected === 0n && errorMessage === "" ? {} : { partialSuccess };
  switch (signal) {
    case "traces": {
      const schema = ExportTraceServiceResponseSchema;
      return [schema, create(schema, some({ rejectedSpans: rejected, errorMessage }))];
    }
    case "metrics": {
      const schema = ExportMetricsServiceResponseSchema;
      return [schema, create(schema, some({ rejectedDataPoints: rejected, errorMessage }))];
    }
    case "logs": {
      const schema = ExportLogsServiceResponseSchema;
      return [schema, create(schema, some({ rejectedLogRecords: rejected, errorMessage }))];
    }
  }
}

/** The body of a success, which in gRPC is the response. */
export function successBody(
  signal: Signal,
  reply: Exclude<Reply, Failure>,
  encoding: Encoding,
): Uint8Array {
  return encode(...responseOf(signal, reply), encoding);
}

/** A google.rpc.Status for HTTP, where the header Retry-After says when to come again. */
export function failureBody({ kind, reason }: Failure, encoding: Encoding): Uint8Array {
  const status = create(RpcStatusSchema, { code: CODES[kind][1], message: reason });
  return encode(RpcStatusSchema, status, encoding);
}

/** A google.rpc.Status for `grpc-status-details-bin`, with RetryInfo where it may come again. */
export function failureDetails({ kind, reason }: Failure): Uint8Array {
  const delay = create(DurationSchema, { seconds: BigInt(RETRY_SECONDS) });
  const info = create(RetryInfoSchema, { retryDelay: delay });
  return toBinary(
    RpcStatusSchema,
    create(RpcStatusSchema, {
      code: CODES[kind][1],
      message: reason,
      details: kind === "busy"
        // Our own definition of it has no package.
        ? [{
          ...anyPack(RetryInfoSchema, info),
          typeUrl: "type.googleapis.com/google.rpc.RetryInfo",
        }]
        : [],
    }),
  );
}

function encode(schema: DescMessage, message: Message, encoding: Encoding): Uint8Array {
  return encoding === "application/json"
    ? new TextEncoder().encode(JSON.stringify(toJson(schema, message)))
    : toBinary(schema, message);
}
