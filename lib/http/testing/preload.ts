/**
 * Instruments HTTP for the program that this is preloaded for, prints the name of the first span
 * that ends and ends the process.
 *
 * @module
 */
import process from "node:process";
import { trace } from "@opentelemetry/api";
import { instrumentHttp } from "../patch.ts";
import { installGlobals, record } from "./recording.ts";

installGlobals();
const recording = record();
trace.setGlobalTracerProvider(recording.tracerProvider);
instrumentHttp();
recording.one().then((span) => {
  console.log(`span: ${span.name} ${span.attributes["url.path"]}`);
  process.exit(0);
});
