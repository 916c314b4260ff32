/**
 * Where the two SDKs differ, and why.
 *
 * @module
 */

/** A difference that is meant. */
export interface Expected {
  /** The program in which it shows. */
  readonly program: string;
  /** Matches lines of `differences`. */
  readonly where: RegExp;
  readonly reason: string;
}

/** The same difference in several programs. */
function inEach(programs: readonly string[], where: RegExp, reason: string): Expected[] {
  return programs.map((program) => ({ program, where, reason }));
}

/** Better here. */
const BETTER: readonly Expected[] = [
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
  ...inEach(
    ["exemplars", "exemplars always"],
    /^metrics\/.*\/exemplars: \[.*"trace of around".*\] instead of undefined$/,
    "there are no exemplars there",
  ),
  ...inEach(
    ["counters", "delta", "low memory"],
    /^metrics\/counter 2\/sum\/dataPoints\/\{("absent":\{\},)?"beyond32".*: (undefined instead|.* instead of undefined$)/,
    "undefined is no value: there it becomes an attribute without one, in metrics alone",
  ),
  {
    program: "attribute sets",
    where:
      /\/dataPoints\/\{"map":\{"kvlistValue":.*\{"key":"e","value":\{\}\}(,\{"key":"f","value":\{\}\})?\]\}\}\}: /,
    reason: "likewise, inside a map",
  },
  {
    program: "attribute sets",
    where:
      /^metrics\/(counter|observed)\/.*\/dataPoints\/(\{\}\/as(Int|Double)|\[\{"value":\{"intValue":"1"\}\}\]): /,
    reason: "a key must not be empty: there it stays, in metrics alone",
  },
  {
    program: "attribute sets",
    where: /^metrics\/changing\/sum\/dataPoints\/\{"route":/,
    reason: "an attribute object that is changed and used again is looked at again; there all " +
      "its series get the attributes it has when they are exported",
  },
  {
    program: "values",
    where: /^spans\/(invalid|keys) later\/droppedAttributesCount: 1 instead of undefined$/,
    reason: "attributes that are none are counted whenever they are set; there only at the start",
  },
  {
    program: "values",
    where: /^spans\/start bigint\//,
    reason: "bigints of 64 bits are integers; there they are dropped",
  },
  {
    program: "variables of limits",
    where: /^logs\/.*wide.*\/attributes\/(wide|other)\/stringValue: .*\ufffd"$/,
    reason: "text is cut between characters; there within one, which leaves half of it",
  },
  {
    program: "log fields",
    where: /^logs\/\{"stringValue":"\[\\"\\"\]"\}\/scope\/name: undefined instead of "unknown"$/,
    reason: "the specification wants a name that is empty kept as it is",
  },
  {
    program: "log exceptions",
    where: /^logs\/\{"stringValue":"no text"\}\/attributes: undefined instead of /,
    reason: "an empty message says nothing; there it stays if it is all there is, not in an Error",
  },
  {
    program: "not finite",
    where: /^metrics\/(counter|gauge|histogram)\/.*\{"stringValue":"(NaN|-?Infinity)"\}\}\//,
    reason: "NaN and infinities are dropped with a warning; there one of them spoils a sum forever",
  },
  {
    program: "similar instruments",
    where: /^metrics\/(Case\/sum\/dataPoints\/\{\}\/asDouble: 3 instead of 1|case: undefined )/,
    reason: "names are the same without regard to case, says the specification, and the first " +
      "counts; there they are two",
  },
  {
    program: "similar instruments",
    where: /^metrics\/by\.description/,
    reason:
      "a description is part of what an instrument is, says the specification, so that both " +
      "are reported; there the longer one counts for both",
  },
  {
    program: "views",
    where:
      /^metrics\/limited\/sum\/dataPoints\/\{("i":\{"intValue":"3"\}\}: |"otel\.metric\.overflow":)/,
    reason:
      "nothing overflows, says the specification, before there are more attribute sets than the " +
      "limit; there the series of the overflow is one of them",
  },
  {
    program: "cardinality",
    where: /\/dataPoints\/\{("i":\{"intValue":"(7|1999)"\}\}: |"otel\.metric\.overflow":)/,
    reason: "likewise",
  },
  {
    program: "views that say the same",
    where: /^metrics\/(counter|histogram)\/.*: "?[12]"? instead of "?[24]"?$/,
    reason: "what two views say of an instrument is one stream; there it counts once for each view",
  },
  {
    program: "views that make histograms of what is observed",
    where:
      /^metrics\/(counter: .*"sum":.* instead of undefined$|(up\.down\/sum|(gauge|twice)\/gauge): .* instead of undefined$|(renamed|.*\/(exponentialH|h)istogram): undefined instead of .*"count":"1")/,
    reason:
      "the specification wants such a view to be as if it were not there; there the histogram has " +
      "one value, however often it is asked, and the extremes of the first",
  },
  ...inEach(
    ["exponential spread", "exponential spread, delta", "exponential, few buckets"],
    /^metrics\/zero\/.*\/scale: 20 instead of undefined$/,
    "the specification wants the largest scale for up to one value; there it is 0 with zeros alone",
  ),
  {
    program: "subnormal",
    where: /^metrics\/subnormal\/exponentialHistogram\/dataPoints\/\{\}\/(scale|positive)/,
    reason: "each value is in its bucket; there all of these share one",
  },
];

/** Neither better nor worse. */
const DIFFERENT: readonly Expected[] = [
  {
    program: "views that change, delta",
    where: /^metrics\/gauge\.to\.histogram\/histogram\/aggregationTemporality: /,
    reason:
      "the preference delta is specified for counters and histograms, not for gauges, which " +
      "stay cumulative here",
  },
];

/** What a record of the file has no room for is cut or left out, and marked or counted. */
const SMALLER: readonly Expected[] = [
  {
    program: "large",
    where:
      /^(spans|logs)\/(attribute|event|link|body|deep|deep attribute|severity)\/attributes(\/otlp_mmap\.truncated)?: .*"boolValue":true/,
    reason: "says that something was cut",
  },
  {
    program: "large",
    where: /^(spans|logs)\/attribute\/attributes\/long\/stringValue: /,
    reason: "an attribute fits one record: of 1,024 bytes in a span, of 2,048 in a log record",
  },
  {
    program: "large",
    where:
      /^spans\/event\/events\/0\/(attributes\/(long\/stringValue|after)|droppedAttributesCount): /,
    reason: "an event is one record of 2,048 bytes",
  },
  ...inEach(
    ["large", "beyond the defaults"],
    /^spans\/(on a )?link\/links\/0\/(attributes\/k\d+|droppedAttributesCount): /,
    "a link is one record of 1,024 bytes",
  ),
  {
    program: "large",
    where: /^logs\/body\/body\/stringValue: /,
    reason: "a log record is one record of 2,048 bytes",
  },
  {
    program: "large",
    where: /^logs\/(deep\/body|deep attribute\/attributes\/deep)\//,
    reason: "lists inside each other are written 16 deep",
  },
  {
    program: "large",
    where: /^logs\/severity\/severityText: /,
    reason: "a severity's text has 32 UTF-16 units",
  },
  {
    program: "large",
    where: /^metrics\/long\/sum\/dataPoints\/\{"long":/,
    reason: "a measurement is one record of 512 bytes",
  },
];

/**
 * Measurements that are none are counted, for a process, in one of its resources: here one of several
 * programs. Nothing else may be lost.
 */
export const REFUSED =
  /^metrics\/otlp_mmap\.records\.lost: (?!.*(_full|reserve|spans|events)).* instead of undefined$/;

/** All of them. */
export const EXPECTED: readonly Expected[] = [...BETTER, ...DIFFERENT, ...SMALLER];
