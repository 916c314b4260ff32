/**
 * Which traces tail sampling keeps.
 *
 * @module
 */

/** A trace is kept when any of these says so. */
export interface Policies {
  /** Traces with a span whose status is an error. */
  readonly errors: boolean;
  /** Traces that took at least so long from their first start to their last end, ns. */
  readonly latency: bigint | null;
  /** Of what is not kept for another reason: so many traces of a service a second. */
  readonly rate: number | null;
  /** The part of all traces that is kept whatever they are, 0 to 1, by their trace id. */
  readonly probability: number;
}

/** What is known of a trace when it is decided on. */
export interface TraceFacts {
  readonly traceId: Uint8Array;
  readonly error: boolean;
  /** First start and last end, ns since the epoch. */
  readonly start: bigint;
  readonly end: bigint;
  /** `service.name` of its root, or of its first span where that isn't there. */
  readonly service: string;
}

/** Services whose rate is remembered. */
const MAX_SERVICES = 10_000;

/** Traces that a service may still have kept, as of a time. */
interface Budget {
  traces: number;
  at: number;
}

/** Decides on traces; remembers how many each service had. */
export class Decider {
  private readonly budgets = new Map<string, Budget>();

  /** Whether to keep a trace; `now` in milliseconds never goes back. */
  keeps(policies: Policies, facts: TraceFacts, now: number): boolean {
    const { errors, latency, rate, probability } = policies;
    return (errors && facts.error) ||
      (latency !== null && facts.end - facts.start >= latency) ||
      isSampled(facts.traceId, probability) ||
      (rate !== null && this.spend(facts.service, rate, now));
  }

  /** A bucket that holds what comes in a second, and one at least. */
  private spend(service: string, rate: number, now: number): boolean {
    const most = Math.max(1, rate);
    let budget = this.budgets.get(service);
    if (budget === undefined) {
      if (this.budgets.size >= MAX_SERVICES) this.budgets.clear();
      budget = { traces: most, at: now };
      this.budgets.set(service, budget);
    }
    budget.traces = Math.min(most, budget.traces + (now - budget.at) / 1000 * rate);
    budget.at = now;
    if (budget.traces < 1) return false;
    budget.traces -= 1;
    return true;
  }
}

/**
 * W3C Trace Context Level 2, "Random Trace ID Flag": the last 56 bits of a trace id are random, and
 * those that are large enough are sampled, on every host the same.
 */
export function isSampled(traceId: Uint8Array, probability: number): boolean {
  if (probability >= 1) return true;
  if (probability <= 0) return false;
  const threshold = BigInt(Math.round((1 - probability) * 2 ** 56));
  let random = 0n;
  for (let i = 9; i < 16; i++) random = random << 8n | BigInt(traceId[i]);
  return random >= threshold;
}
