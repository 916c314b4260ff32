/**
 * The search in the address as the API takes it.
 *
 * @module
 */
import { type Address, first, type QueryValue, type Range } from "../logic/address.ts";
import { parseDuration } from "../logic/time.ts";

/** The conditions on spans that an address has, without the time. */
export function spanConditions(address: Address): Record<string, QueryValue> {
  return {
    service: address.query.service,
    name: first(address, "exact"),
    nameContains: first(address, "name"),
    attribute: address.query.attribute,
    status: first(address, "status"),
    kind: first(address, "kind"),
    minDurationNs: parseDuration(first(address, "min")),
    maxDurationNs: parseDuration(first(address, "max")),
    interrupted: first(address, "interrupted"),
    root: first(address, "root"),
  };
}

/** The conditions on log records that an address has, without the time. */
export function logConditions(address: Address): Record<string, QueryValue> {
  return {
    service: address.query.service,
    text: first(address, "text"),
    minSeverity: first(address, "severity"),
    attribute: address.query.attribute,
    traceId: first(address, "trace"),
    spanId: first(address, "span"),
    resourceId: first(address, "resource"),
  };
}

/** A stretch of time as the API takes it. */
export function timeConditions(range: Range): Record<string, QueryValue> {
  return { from: Math.floor(range.fromMs), to: Math.ceil(range.toMs) };
}
