/**
 * Where the two SDKs differ, and why that is better here.
 *
 * @module
 */

/** A difference that is meant. */
export interface Expected {
  /** The program in which it shows, `*` for any. */
  readonly program: string;
  /** Matches lines of `differences`. */
  readonly where: RegExp;
  readonly reason: string;
}

/** All of them. */
export const EXPECTED: readonly Expected[] = [
  {
    program: "limits",
    where: /^spans\/limited\/links\/[01]\/(traceId|spanId): /,
    reason:
      "what is written stays, so the links beyond the limit are the ones that go; there the " +
      "oldest goes",
  },
  {
    program: "limits",
    where: /^spans\/three events\/events\/[01]\/name: /,
    reason: "likewise, the events",
  },
  {
    program: "exemplars",
    where: /^metrics\/in\.span.*\/exemplars: \[.*"trace of around".*\] instead of undefined$/,
    reason: "there are no exemplars there",
  },
  ...["counters", "delta", "low memory"].map((program) => ({
    program,
    where: /^metrics\/counter 2\/.*\/attributes\/absent: undefined instead of \{\}$/,
    reason: "undefined is no value: there it becomes an attribute without one, in metrics alone",
  })),
];
