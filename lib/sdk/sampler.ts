/**
 * Samplers: the standard ones of the OpenTelemetry specification (Trace SDK, "Built-in samplers"),
 * and their compiled form, which decides from integers without allocating.
 *
 * Any object with the API's `Sampler` interface works, those of `@opentelemetry/sdk-trace` too;
 * the ones exported here are recognised and compiled, others are called.
 *
 * @module
 */

import {
  type Attributes,
  type Context,
  isSpanContextValid,
  isValidTraceId,
  type Link,
  type SpanKind,
  trace,
  TraceFlags,
  type TraceState,
} from "@opentelemetry/api";

/** Not recorded at all. */
export const DROP = 0;
/** Recorded, but without the sampled flag: the parts of the trace elsewhere need not be. */
export const RECORD_ONLY = 1;
/** Recorded, and the sampled flag is set. */
export const RECORD_AND_SAMPLE = 2;

/** What a sampler answers. */
export interface SamplingResult {
  /** `DROP`, `RECORD_ONLY` or `RECORD_AND_SAMPLE` (the values of the API's `SamplingDecision`). */
  decision: number;
  /** Attributes to add to the span. */
  attributes?: Readonly<Attributes>;
  /** Trace state of the new span; the parent's when absent. */
  traceState?: TraceState;
}

/** Decides, before a span is made, whether it is recorded. */
export interface Sampler {
  /**
   * @param context The parent context; it may hold a span.
   * @param traceId Trace id of the span to be, 32 hex digits.
   */
  shouldSample(
    context: Context,
    traceId: string,
    spanName: string,
    spanKind: SpanKind,
    attributes: Attributes,
    links: Link[],
  ): SamplingResult;
  /** Name and settings, for people. */
  toString(): string;
}

/** Samples every span. */
export class AlwaysOnSampler implements Sampler {
  /** Keeps it. */
  shouldSample(): SamplingResult {
    return { decision: RECORD_AND_SAMPLE };
  }

  /** The name the specification gives it. */
  toString(): string {
    return "AlwaysOnSampler";
  }
}

/** Samples no span. */
export class AlwaysOffSampler implements Sampler {
  /** Drops it. */
  shouldSample(): SamplingResult {
    return { decision: DROP };
  }

  /** The name the specification gives it. */
  toString(): string {
    return "AlwaysOffSampler";
  }
}

/**
 * Samples a fraction of all traces, decided by the trace id alone, so that every service with the
 * same ratio keeps the same traces. Agrees with the sampler of that name in the OpenTelemetry
 * JavaScript SDK, id by id: the four 32-bit parts of the id, xor-ed, are below ratio * (2^32 - 1).
 */
export class TraceIdRatioBasedSampler implements Sampler {
  /** 0 to 1. */
  readonly ratio: number;
  /** Kept when the xor-ed id is below this; 0 to 2^32. */
  readonly threshold: number;

  /** @param ratio Fraction to keep; clamped to 0..1, and 0 when it is no number. */
  constructor(ratio: number) {
    this.ratio = ratio > 0 ? Math.min(ratio, 1) : 0;
    this.threshold = this.ratio === 1 ? 0x1_0000_0000 : Math.floor(this.ratio * 0xffff_ffff);
  }

  /** Decides by the trace id; drops spans whose trace id is invalid. */
  shouldSample(_context: Context, traceId: string): SamplingResult {
    if (!isValidTraceId(traceId)) return { decision: DROP };
    let folded = 0;
    for (let i = 0; i < 32; i += 8) folded ^= Number.parseInt(traceId.slice(i, i + 8), 16);
    return { decision: folded >>> 0 < this.threshold ? RECORD_AND_SAMPLE : DROP };
  }

  /** The name the specification gives it. */
  toString(): string {
    return `TraceIdRatioBased{${this.ratio}}`;
  }
}

/** The samplers of a `ParentBasedSampler`, by what kind of parent the span has. */
export interface ParentBasedSamplerOptions {
  /** No parent, or none with valid ids. */
  root: Sampler;
  /** Parent from another process, sampled. Default: always on. */
  remoteParentSampled?: Sampler;
  /** Parent from another process, not sampled. Default: always off. */
  remoteParentNotSampled?: Sampler;
  /** Parent from this process, sampled. Default: always on. */
  localParentSampled?: Sampler;
  /** Parent from this process, not sampled. Default: always off. */
  localParentNotSampled?: Sampler;
}

/** Does what the parent did, and asks `root` for spans without a parent. */
export class ParentBasedSampler implements Sampler {
  /** Decides for spans with no parent. */
  readonly root: Sampler;
  /** Decides for spans with a sampled parent in another process. */
  readonly remoteParentSampled: Sampler;
  /** Decides for spans with an unsampled parent in another process. */
  readonly remoteParentNotSampled: Sampler;
  /** Decides for spans with a sampled parent in this process. */
  readonly localParentSampled: Sampler;
  /** Decides for spans with an unsampled parent in this process. */
  readonly localParentNotSampled: Sampler;

  /** @param options The samplers to ask; only `root` is needed. */
  constructor(options: ParentBasedSamplerOptions) {
    this.root = options.root;
    this.remoteParentSampled = options.remoteParentSampled ?? new AlwaysOnSampler();
    this.remoteParentNotSampled = options.remoteParentNotSampled ?? new AlwaysOffSampler();
    this.localParentSampled = options.localParentSampled ?? new AlwaysOnSampler();
    this.localParentNotSampled = options.localParentNotSampled ?? new AlwaysOffSampler();
  }

  /** Asks the sampler for the kind of parent that `context` holds. */
  shouldSample(
    context: Context,
    traceId: string,
    spanName: string,
    spanKind: SpanKind,
    attributes: Attributes,
    links: Link[],
  ): SamplingResult {
    return this.#delegate(context)
      .shouldSample(context, traceId, spanName, spanKind, attributes, links);
  }

  #delegate(context: Context): Sampler {
    const parent = trace.getSpanContext(context);
    if (parent === undefined || !isSpanContextValid(parent)) return this.root;
    const sampled = (parent.traceFlags & TraceFlags.SAMPLED) !== 0;
    if (parent.isRemote) return sampled ? this.remoteParentSampled : this.remoteParentNotSampled;
    return sampled ? this.localParentSampled : this.localParentNotSampled;
  }

  /** The name the specification gives it. */
  toString(): string {
    return `ParentBased{root=${this.root}, remoteParentSampled=${this.remoteParentSampled}, ` +
      `remoteParentNotSampled=${this.remoteParentNotSampled}, ` +
      `localParentSampled=${this.localParentSampled}, ` +
      `localParentNotSampled=${this.localParentNotSampled}}`;
  }
}

/** Rule: never keep. */
export const NEVER = 0;
/** Rule: always keep. */
export const ALWAYS: -1 = -1;
/** Rule: ask the sampler's `shouldSample`. */
export const CALL: -2 = -2;

/**
 * A sampler as one rule for each kind of parent. A rule is `NEVER`, `ALWAYS`, `CALL`, or else
 * (1 to 2^32 - 1) the threshold for `ratioKeeps`. Keeping means `RECORD_AND_SAMPLE`, with the
 * parent's trace state and no further attributes.
 */
export interface CompiledSampler {
  /** Whom to ask where the rule is `CALL`. */
  readonly sampler: Sampler;
  /** Rule for a span without a parent that has valid ids. */
  readonly root: number;
  /** Rule for a span whose parent is in another process and sampled. */
  readonly remoteSampled: number;
  /** Rule for a span whose parent is in another process and not sampled. */
  readonly remoteNotSampled: number;
  /** Rule for a span whose parent is in this process and sampled. */
  readonly localSampled: number;
  /** Rule for a span whose parent is in this process and not sampled. */
  readonly localNotSampled: number;
}

/** Turns a sampler into rules: the ones of this module (nested, too) fully, any other into `CALL`. */
export function compileSampler(sampler: Sampler): CompiledSampler {
  if (sampler instanceof ParentBasedSampler && isUnchanged(sampler, ParentBasedSampler)) {
    // A delegate sees the same context, so for it, too, only the rule of this kind of parent counts.
    return {
      sampler,
      root: compileSampler(sampler.root).root,
      remoteSampled: compileSampler(sampler.remoteParentSampled).remoteSampled,
      remoteNotSampled: compileSampler(sampler.remoteParentNotSampled).remoteNotSampled,
      localSampled: compileSampler(sampler.localParentSampled).localSampled,
      localNotSampled: compileSampler(sampler.localParentNotSampled).localNotSampled,
    };
  }
  const rule = ruleOf(sampler);
  return {
    sampler,
    root: rule,
    remoteSampled: rule,
    remoteNotSampled: rule,
    localSampled: rule,
    localNotSampled: rule,
  };
}

function ruleOf(sampler: Sampler): number {
  if (sampler instanceof AlwaysOnSampler && isUnchanged(sampler, AlwaysOnSampler)) return ALWAYS;
  if (sampler instanceof AlwaysOffSampler && isUnchanged(sampler, AlwaysOffSampler)) return NEVER;
  if (
    sampler instanceof TraceIdRatioBasedSampler && isUnchanged(sampler, TraceIdRatioBasedSampler)
  ) {
    return sampler.threshold === 0x1_0000_0000 ? ALWAYS : sampler.threshold;
  }
  return CALL;
}

/** False for a subclass or an object that decides by a `shouldSample` of its own. */
function isUnchanged(sampler: Sampler, type: { prototype: Sampler }): boolean {
  return sampler.shouldSample === type.prototype.shouldSample;
}

/**
 * Whether a ratio rule keeps a trace. The words are the trace id's 16 bytes as they lie in memory,
 * read little-endian (an `Int32Array` over them); `threshold` is the rule.
 */
export function ratioKeeps(
  word0: number,
  word1: number,
  word2: number,
  word3: number,
  threshold: number,
): boolean {
  // No valid id: the sampler keeps none, whatever its ratio.
  if ((word0 | word1 | word2 | word3) === 0) return false;
  // The sampler xors big-endian words; swapping bytes once after the xor is the same.
  const folded = word0 ^ word1 ^ word2 ^ word3;
  const swapped = (folded << 24) | ((folded & 0xff00) << 8) | ((folded >>> 8) & 0xff00) |
    (folded >>> 24);
  return swapped >>> 0 < threshold;
}
