/**
 * Records that never got as far as the backend, as a metric to that backend: how many of which ring
 * of which file, and why. Sums over the life of each file, which a collector that takes over goes on
 * with.
 *
 * @module
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import packageJson from "../../package.json" with { type: "json" };
import { REFUSAL_REASONS } from "../../lib/file/ledger.ts";
import { READ_REJECTED, READ_TORN, REJECT_NAMES, RING_NAMES } from "../../lib/format/layout.ts";
import type { Request } from "../../lib/otlp/request.ts";
import { notedBad } from "../../lib/ring/counts.ts";
import { loadIndex } from "../../lib/ring/index.ts";
import {
  AggregationTemporality,
  type AnyValue,
  ArrayValueSchema,
  ExportMetricsServiceRequestSchema,
  type KeyValue,
  KeyValueListSchema,
  KeyValueSchema,
  type NumberDataPoint,
  NumberDataPointSchema,
  ResourceMetricsSchema,
} from "../../proto/gen/otlp_pb.ts";
import { lossOf } from "../files/files.ts";
import type { FollowedFile, FollowedProcess } from "../files/follow.ts";
import { type PlainValue, readDictionary } from "../inspect/contents.ts";
import { readImage } from "../inspect/image.ts";

/** The metric. */
export const LOST_RECORDS = "otlp_mmap.records.lost";

/**
 * What was lost of a process's records so far, as a request; null while nothing was. The resource is
 * the application's, as far as it is known.
 */
export function reportLosses({ files, state }: FollowedProcess): Request | null {
  const dataPoints = files.flatMap(pointsOf);
  if (dataPoints.length === 0) return null;
  const { firstResource } = state.scopes;
  const { resource, schemaUrl } = firstResource === null
    ? { resource: storedResource(files[0].path), schemaUrl: "" }
    : fromBinary(ResourceMetricsSchema, firstResource.head);
  const request = create(ExportMetricsServiceRequestSchema, {
    resourceMetrics: [{
      resource,
      schemaUrl,
      scopeMetrics: [{
        scope: { name: "otlp-mmap", version: packageJson.version },
        metrics: [{
          name: LOST_RECORDS,
          unit: "{record}",
          description: "Records of the application that were lost before they could be sent",
          data: {
            case: "sum",
            value: {
              aggregationTemporality: AggregationTemporality.CUMULATIVE,
              isMonotonic: true,
              dataPoints,
            },
          },
        }],
      }],
    }],
  });
  const buffer = toBinary(ExportMetricsServiceRequestSchema, request);
  const items = dataPoints.length;
  return { signal: "metrics", buffer, length: buffer.length, items, processes: [state.index] };
}

/** The resource as the dictionary of a file has it: of a file from which nothing was taken. */
function storedResource(path: string): { attributes: KeyValue[] } | undefined {
  try {
    const image = readImage(path);
    const { geometry } = image;
    const stored = "rings" in geometry ? readDictionary(image, geometry).resources[0] : undefined;
    return stored === undefined ? undefined : { attributes: keyValues(stored) };
  } catch {
    // It may have gone meanwhile; then the points say whose they are.
    return undefined;
  }
}

function keyValues(plain: { readonly [key: string]: PlainValue }): KeyValue[] {
  return Object.entries(plain).map(([key, value]) =>
    create(KeyValueSchema, { key, value: { value: anyOf(value) } })
  );
}

function anyOf(value: PlainValue): AnyValue["value"] {
  switch (typeof value) {
    case "string":
      return { case: "stringValue", value };
    case "boolean":
      return { case: "boolValue", value };
    case "number":
      return Number.isInteger(value)
        ? { case: "intValue", value: BigInt(value) }
        : { case: "doubleValue", value };
    default:
      if (value === null) return { case: undefined };
      if (!Array.isArray(value)) {
        return {
          case: "kvlistValue",
          value: create(KeyValueListSchema, { values: keyValues(value) }),
        };
      }
      return {
        case: "arrayValue",
        value: create(ArrayValueSchema, { values: value.map((each) => ({ value: anyOf(each) })) }),
      };
  }
}

/** What a file lost over its life, of one ring and for one reason. */
export interface LostRecords {
  readonly ring: (typeof RING_NAMES)[number];
  readonly reason: string;
  readonly count: number;
}

/** By ring and reason, where there are any; nothing of a file without the extension block. */
export function lostRecords(file: FollowedFile): LostRecords[] {
  if (file.extension === null) return [];
  return RING_NAMES.flatMap((name, ring) => {
    const all = REFUSAL_REASONS.map(({ name, reason }): [string, number] => [
      name,
      lossOf(file, ring, reason),
    ]);
    all.push(["discarded", loadIndex(file.file.i64, file.geometry.rings[ring]).discarded]);
    const { counts } = file.drain.rings[ring];
    if (counts !== null) {
      all.push(["torn", notedBad(counts, READ_TORN)]);
      REJECT_NAMES.forEach((name, reason) => {
        all.push([`unreadable_${name}`, notedBad(counts, READ_REJECTED + reason)]);
      });
    }
    return all.filter(([, count]) => count > 0)
      .map(([reason, count]) => ({ ring: name, reason, count }));
  });
}

function pointsOf(file: FollowedFile): NumberDataPoint[] {
  const { extension, geometry } = file;
  const timeUnixNano = BigInt(Date.now()) * 1_000_000n;
  return lostRecords(file).map(({ ring, reason, count }) =>
    create(NumberDataPointSchema, {
      attributes: keyValues({
        "otlp_mmap.ring": ring,
        "otlp_mmap.reason": reason,
        "otlp_mmap.process.uid": extension!.processUid,
        "otlp_mmap.file.uid": extension!.fileUid,
        "process.pid": extension!.ownerPid,
      }),
      startTimeUnixNano: geometry.timeUnixNano,
      timeUnixNano,
      value: { case: "asInt", value: BigInt(count) },
    })
  );
}
