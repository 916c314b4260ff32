/**
 * A Python with the packages `opentelemetry-proto` and `prometheus_client`: decoders that are not ours.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { type Peer, peer } from "./peer.ts";

/** From OTLP_MMAP_PYTHON. */
export const python: Peer = peer(
  "OTLP_MMAP_PYTHON",
  "a Python with opentelemetry-proto and prometheus_client",
);

/**
 * Runs a program text with arguments, gives it bytes on its standard input, and parses the JSON it
 * prints.
 *
 * @throws {Error} with what it wrote to standard error, when it does not end with 0
 */
export function runPython(program: string, input: Uint8Array = new Uint8Array()): unknown {
  if (python.path === undefined) throw new Error(python.missing);
  const { status, stdout, stderr } = spawnSync(python.path, ["-c", program], {
    input,
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  if (status !== 0) throw new Error(`${python.path} exited with ${status}: ${stderr}`);
  return JSON.parse(stdout);
}

/**
 * An ExportTraceServiceRequest as the JSON mapping of protobuf has it: ids and bytes in base64,
 * 64-bit integers as strings, field names as in the .proto files.
 */
export function decodeTraces(request: Uint8Array): unknown {
  return runPython(
    `
import sys
from google.protobuf.json_format import MessageToJson
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
request = ExportTraceServiceRequest.FromString(sys.stdin.buffer.read())
print(MessageToJson(request, preserving_proto_field_name=True))
`,
    request,
  );
}
