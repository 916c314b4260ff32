/**
 * The specification's variables as settings of the OpenTelemetry SDK for JavaScript, whose packages
 * for one signal each read none.
 *
 * @module
 */
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  type Sampler,
  type SpanLimits,
  TraceIdRatioBasedSampler,
} from "@opentelemetry/sdk-trace";
import type { LogRecordLimits } from "@opentelemetry/sdk-logs";

type Variables = Readonly<Record<string, string>>;

/** OTEL_TRACES_SAMPLER and its argument. */
export function samplerOf(variables: Variables): Sampler {
  const name = variables.OTEL_TRACES_SAMPLER ?? "parentbased_always_on";
  const ratio = Number(variables.OTEL_TRACES_SAMPLER_ARG ?? 1);
  const roots: Record<string, Sampler> = {
    always_on: new AlwaysOnSampler(),
    always_off: new AlwaysOffSampler(),
    traceidratio: new TraceIdRatioBasedSampler(ratio),
  };
  const root = roots[name.replace("parentbased_", "")];
  return name.startsWith("parentbased_") ? new ParentBasedSampler({ root }) : root;
}

/** OTEL_SPAN_*, OTEL_EVENT_* and OTEL_LINK_*; those of attributes fall back to the general ones. */
export function spanLimitsOf(variables: Variables): SpanLimits {
  const first = firstOf(variables);
  const count = "OTEL_ATTRIBUTE_COUNT_LIMIT";
  return defined({
    attributeCountLimit: first("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", count),
    attributeValueLengthLimit: first(
      "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
      "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    ),
    eventCountLimit: first("OTEL_SPAN_EVENT_COUNT_LIMIT"),
    linkCountLimit: first("OTEL_SPAN_LINK_COUNT_LIMIT"),
    attributePerEventCountLimit: first("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", count),
    attributePerLinkCountLimit: first("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", count),
  });
}

/** OTEL_LOGRECORD_*, likewise. */
export function logLimitsOf(variables: Variables): LogRecordLimits {
  const first = firstOf(variables);
  return defined({
    attributeCountLimit: first(
      "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT",
      "OTEL_ATTRIBUTE_COUNT_LIMIT",
    ),
    attributeValueLengthLimit: first(
      "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT",
      "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    ),
  });
}

function firstOf(variables: Variables): (...names: string[]) => number | undefined {
  return (...names) => {
    const name = names.find((each) => each in variables);
    return name === undefined ? undefined : Number(variables[name]);
  };
}

function defined(limits: Record<string, number | undefined>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(limits).filter((entry): entry is [string, number] => entry[1] !== undefined),
  );
}
