/**
 * Questions to the store as they go to the thread that reads it, and the answers as JSON.
 *
 * @module
 */
import { type Identity, isOf } from "../files/names.ts";
import { toOtlpJson } from "../text/otlp-json.ts";
import type { StoreQueries } from "../store/queries/types.ts";
import type { OpenSpan, TraceNow } from "./live-types.ts";
import { toPerfetto } from "./perfetto.ts";

/** What is asked for beside what the store answers as it is. */
interface MoreAnswers {
  /** The store's state, and what else is known of the collector. */
  stateAnd(more: object): object;
  /** The numbers of the newest resources that are these; null where there is none. */
  find(identities: readonly Identity[]): (number | null)[];
  /** What is stored of a trace, and those of these spans that are not; null where there is neither. */
  traceAnd(traceId: string, open: readonly OpenSpan[]): TraceNow | null;
  /** JSON text. */
  otlpJson(traceId: string): string | null;
  perfetto(traceId: string): object | null;
}

type Answers = Omit<StoreQueries, "close"> & MoreAnswers;

/** A question: what, and the arguments. */
export type Question = {
  [Name in keyof Answers]: readonly [name: Name, ...args: Parameters<Answers[Name]>];
}[keyof Answers];

/**
 * Answers a question with JSON text; null when there is no such thing.
 *
 * @throws InvalidQuery when it can't be asked.
 */
export function answer(queries: StoreQueries, [name, ...args]: Question): string | null {
  const answers: Answers = { ...queries, ...moreAnswers(queries) };
  const result = (answers[name] as (...args: readonly unknown[]) => unknown)(...args);
  if (name === "otlpJson" || result === null) return result as string | null;
  return JSON.stringify(result);
}

function moreAnswers(queries: StoreQueries): MoreAnswers {
  return {
    stateAnd: (more) => ({ ...queries.state(), ...more }),
    find(identities) {
      const resources = queries.resources();
      return identities.map((wanted) =>
        resources.find(({ service, attributes }) =>
          isOf(service, (key) => {
            const value = attributes.findLast((attribute) => attribute.key === key)?.value;
            return value?.stringValue ?? value?.intValue;
          }, wanted)
        )?.id ?? null
      );
    },
    traceAnd(traceId, all) {
      const stored = queries.trace(traceId);
      if (stored === null && all.length === 0) return null;
      const ended = new Set(stored?.spans.map(({ spanId }) => spanId));
      const open = all.filter(({ spanId }) => !ended.has(spanId));
      const resources = { ...stored?.resources };
      const missing = new Set(open.map(({ resourceId }) => resourceId ?? -1));
      for (const id in resources) missing.delete(Number(id));
      if (missing.size > 0) {
        for (const resource of queries.resources()) {
          if (missing.has(resource.id)) resources[resource.id] = resource;
        }
      }
      return { traceId, spans: [], scopes: {}, ...stored, resources, open };
    },
    otlpJson(traceId) {
      const bytes = queries.traceAsOtlp(traceId);
      return bytes === null ? null : toOtlpJson("traces", bytes);
    },
    perfetto(traceId) {
      const trace = queries.trace(traceId);
      return trace === null ? null : toPerfetto(trace);
    },
  };
}
