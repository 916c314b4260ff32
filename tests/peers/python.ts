/**
 * A Python with the packages `opentelemetry-proto` and `prometheus_client`, decoders that are not ours,
 * and with OpenTelemetry's SDK and exporters.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import type { Signal } from "../../lib/otlp/request.ts";
import { type Peer, peer } from "./peer.ts";

/** From OTLP_MMAP_PYTHON. */
export const python: Peer = peer(
  "OTLP_MMAP_PYTHON",
  "a Python with opentelemetry-proto, prometheus_client and OpenTelemetry's SDK and exporters",
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

/** The module and the message of a signal's requests. */
const REQUESTS: Record<Signal, string> = {
  traces: "opentelemetry.proto.collector.trace.v1.trace_service_pb2 ExportTraceServiceRequest",
  metrics:
    "opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 ExportMetricsServiceRequest",
  logs: "opentelemetry.proto.collector.logs.v1.logs_service_pb2 ExportLogsServiceRequest",
};

function decodeWith(signal: Signal, parse: string, request: Uint8Array): unknown {
  const [module, message] = REQUESTS[signal].split(" ");
  return runPython(
    `
import base64, json, re, sys
from google.protobuf.json_format import MessageToJson, ParseDict
from ${module} import ${message} as Request
${parse}
print(MessageToJson(request, preserving_proto_field_name=True))
`,
    request,
  );
}

/**
 * A request as the JSON mapping of protobuf has it: ids and bytes in base64, 64-bit integers as
 * strings, field names as in the .proto files.
 */
export function decodeRequest(signal: Signal, request: Uint8Array): unknown {
  return decodeWith(signal, "request = Request.FromString(sys.stdin.buffer.read())", request);
}

/** The same of a request in OTLP/JSON, which has ids in hex and numbers for enums. */
export function decodeJson(signal: Signal, request: Uint8Array): unknown {
  const parse = `
def convert(value):
    for key in ("traceId", "spanId", "parentSpanId"):
        if key in value:
            assert re.fullmatch("([0-9a-f]{16}){1,2}", value[key]), value[key]
            value[key] = base64.b64encode(bytes.fromhex(value[key])).decode()
    for key in ("kind", "code", "severityNumber", "aggregationTemporality"):
        assert isinstance(value.get(key, 0), int), value[key]
    return value
request = ParseDict(json.load(sys.stdin, object_hook=convert), Request())
`;
  return decodeWith(signal, parse, request);
}
