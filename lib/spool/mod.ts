/**
 * Disk buffering for OTLP: store first, deliver from disk. As an exporter for the SDK of OpenTelemetry
 * for JavaScript, or for programs of your own.
 *
 * ```ts ignore
 * import { ProtobufTraceSerializer } from "@opentelemetry/otlp-transformer";
 * import { BatchSpanProcessor } from "@opentelemetry/sdk-trace";
 * import { openSpool, postTo, spoolExporter } from "otlp-mmap/spool";
 *
 * const spool = openSpool("/var/lib/shop/spool", { maxBytes: 100 << 20 });
 * const exporter = spoolExporter({
 *   spool,
 *   signal: "traces",
 *   serializer: ProtobufTraceSerializer,
 *   send: postTo("http://localhost:4318/v1/traces"),
 * });
 * const processor = new BatchSpanProcessor({ exporter });
 * ```
 *
 * @module
 */
export type { SpoolSignal } from "./names.ts";
export { openSpool } from "./spool.ts";
export type { SpoolBudget } from "./budget.ts";
export type {
  FolderState,
  Placed,
  PutOptions,
  Refused,
  Spool,
  SpoolOptions,
  Stored,
} from "./spool.ts";
export type { DropReason } from "./segment.ts";
export type { RefusalReason, ShelfCounts as SpoolCounts, Tally } from "./shelf.ts";
export { postTo, spoolExporter } from "./exporter.ts";
export type { Delivery, SpoolExporter, SpoolExporterOptions } from "./exporter.ts";
