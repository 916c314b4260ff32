/**
 * Attributes as labels of Prometheus.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { AnyValue, KeyValue } from "../../proto/gen/otlp_pb.ts";
import { labelName } from "./names.ts";

/** Labels by name. */
export type Labels = Map<string, string>;

/**
 * Attributes as labels, in the order of their keys; the values of keys that become the same label
 * are joined with ";" (specification, "Metric Attributes").
 */
export function labelsOf(attributes: readonly KeyValue[], prefix = ""): Labels {
  const labels: Labels = new Map();
  const sorted = [...attributes].sort((a, b) => a.key < b.key ? -1 : a.key > b.key ? 1 : 0);
  for (const { key, value } of sorted) {
    const name = labelName(prefix + key);
    const text = textOf(value);
    const before = labels.get(name);
    labels.set(name, before === undefined ? text : `${before};${text}`);
  }
  return labels;
}

/** The text of an attribute; none for an attribute that is not there. */
export function textOf(value: AnyValue | undefined): string {
  const plain = plainOf(value);
  return typeof plain === "string" ? plain : plain === null ? "" : JSON.stringify(plain);
}

type Plain = string | number | boolean | null | Plain[] | { [key: string]: Plain };

function plainOf(value: AnyValue | undefined): Plain {
  const content = value?.value;
  switch (content?.case) {
    case undefined:
      return null;
    case "intValue": {
      const number = Number(content.value);
      return Number.isSafeInteger(number) ? number : String(content.value);
    }
    case "doubleValue":
      return Number.isFinite(content.value) ? content.value : String(content.value);
    case "bytesValue":
      return Buffer.from(content.value).toString("base64");
    case "arrayValue":
      return content.value.values.map(plainOf);
    case "kvlistValue":
      return Object.fromEntries(
        content.value.values.map(({ key, value }) => [key, plainOf(value)]),
      );
    default:
      return content!.value;
  }
}

/** `{a="1",b="2"}`, or nothing without labels. Labels without a value are left out. */
export function formatLabels(labels: Iterable<readonly [string, string]>): string {
  const parts: string[] = [];
  for (const [name, value] of labels) if (value !== "") parts.push(`${name}="${escape(value)}"`);
  return parts.length === 0 ? "" : `{${parts.join(",")}}`;
}

function escape(text: string): string {
  return text.replace(/[\\"\n]/g, (c) => c === "\n" ? "\\n" : `\\${c}`);
}
