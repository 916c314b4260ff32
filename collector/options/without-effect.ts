/**
 * Options that were given and have no effect beside the others: said once, or refused where that is
 * surely a mistake. What one source says and another overrides is none: that is what flags are for.
 * Variables are not looked at, since they may be meant for other programs.
 *
 * @module
 */
import type { Signal } from "../../lib/otlp/request.ts";
import { SIGNALS } from "../pipeline/signals.ts";
import { ArgumentsExit } from "./arguments.ts";
import type { Destination } from "./destinations.ts";
import type { Given } from "./given.ts";

/** What the options came to. What a command has no options about is left out. */
export interface Outcome {
  readonly command: string;
  readonly given: Given;
  /** Null: nothing is sent. */
  readonly destinations?: Readonly<Record<Signal, readonly Destination[]>> | null;
  /** The endpoints of these are from variables. */
  readonly byVariable?: readonly Signal[];
  /** There is an endpoint of gRPC that does not say itself whether TLS is used. */
  readonly hasBareEndpoint?: boolean;
  readonly hasSpool?: boolean;
  /** `false`: there is to be none. */
  readonly spool?: string | boolean;
  readonly hasStore?: boolean;
  readonly hasPage?: boolean;
  readonly hasReceiver?: boolean;
  readonly once?: boolean;
  readonly print?: boolean;
  readonly metrics?: boolean;
}

interface Row {
  readonly options: readonly string[];
  /** None of them has an effect. */
  readonly isIdle: (outcome: Outcome) => boolean;
  readonly because: string;
  /** This can't be meant. */
  readonly isMistake?: (option: string, outcome: Outcome) => boolean;
}

const SENDING = [
  "protocol",
  "insecure",
  "header",
  "bearer-token-file",
  "ca-file",
  "client-cert-file",
  "client-key-file",
  "compression",
  "timeout",
  ...SIGNALS.flatMap((signal) => [`${signal}-protocol`, `${signal}-header`]),
];
const SPOOL_LIMITS = ["spool-max-size", "spool-max-age"];

/** Of an option, the first row that holds is said. */
const ROWS: readonly Row[] = [
  {
    options: SENDING,
    isIdle: ({ destinations }) => destinations === null,
    because: "nothing is sent to an endpoint",
  },
  {
    options: ["batch-size"],
    isIdle: ({ command, destinations }) =>
      destinations === null && (command === "run" || command === "import"),
    because: "nothing is sent to an endpoint",
  },
  {
    options: ["flush-interval", "metrics-interval"],
    isIdle: ({ command, destinations }) => destinations === null && command === "run",
    because: "nothing is sent to an endpoint",
  },
  ...SIGNALS.map((signal): Row => ({
    options: [`${signal}-protocol`, `${signal}-header`],
    isIdle: ({ destinations }) => destinations?.[signal].length === 0,
    because: `there is no endpoint for ${signal}`,
  })),
  ...["endpoint", "protocol"].map((option): Row => ({
    options: [option],
    isIdle: ({ given }) =>
      SIGNALS.every((signal) => given.where(`${signal}-${option}`) === given.where(option)),
    because: `each signal has its own ${option}`,
  })),
  {
    options: ["insecure"],
    isIdle: ({ destinations, hasBareEndpoint }) => Boolean(destinations) && !hasBareEndpoint,
    because: "it is for endpoints of gRPC without http:// or https://, and there is none",
  },
  {
    options: ["ca-file", "client-cert-file", "client-key-file"],
    isIdle: ({ destinations }) =>
      Boolean(destinations) && !allOf(destinations!).some(({ url }) => url.startsWith("https:")),
    because: "no endpoint is reached with TLS, so anybody on the way could read what is sent; " +
      "write https:// in the endpoint",
    isMistake: (option, outcome) => {
      const { given } = outcome;
      const endpoints = ["endpoint", ...SIGNALS.map((signal) => `${signal}-endpoint`)];
      const sources = endpoints.map((each) => given.where(each)).filter((where) => where !== null);
      return namesEndpoints(outcome) && sources.every((where) => where === given.where(option));
    },
  },
  {
    options: ["spool"],
    isIdle: ({ destinations, spool }) => destinations === null && typeof spool === "string",
    because: "requests are stored for an endpoint, and there is none",
  },
  {
    options: SPOOL_LIMITS,
    isIdle: ({ destinations }) => destinations === null,
    because: "requests are stored for an endpoint, and there is none",
  },
  {
    options: SPOOL_LIMITS,
    isIdle: ({ hasSpool, spool }) => hasSpool === false && spool === false,
    because: "there is to be no spool (--no-spool)",
    isMistake: (option, { given }) => isFlag(option, given) && isFlag("no-spool", given),
  },
  {
    options: SPOOL_LIMITS,
    isIdle: ({ hasSpool, once }) => hasSpool === false && once === true,
    because: "with --once there is a spool only where --spool names one",
  },
  {
    options: SPOOL_LIMITS,
    isIdle: ({ hasSpool }) => hasSpool === false,
    because: "there is to be no spool (OTLP_MMAP_SPOOL)",
  },
  {
    options: ["store-max-size", "store-max-age"],
    isIdle: ({ hasStore }) => hasStore === false,
    because: "there is no store; --store asks for one",
    isMistake: (option, outcome) => isFlag(option, outcome.given) && namesEndpoints(outcome),
  },
  {
    options: ["ui-port"],
    isIdle: ({ hasPage }) => hasPage === false,
    because: "no page is served; --ui asks for one",
    isMistake: (option, outcome) => isFlag(option, outcome.given) && namesEndpoints(outcome),
  },
  {
    options: ["otlp-http-port", "otlp-grpc-port", "otlp-allow-origin"],
    isIdle: ({ hasReceiver }) => hasReceiver === false,
    because: "nothing is received; --otlp-receiver asks for that",
    isMistake: (option, { given }) => isFlag(option, given),
  },
  {
    options: ["metrics-interval"],
    isIdle: ({ once }) => once === true,
    because: "with --once metrics are sent at the end",
  },
  {
    options: ["self-metrics"],
    isIdle: ({ destinations, hasStore, print }) =>
      destinations?.metrics.length === 0 && !hasStore && !print,
    because: "there is no endpoint for metrics",
  },
  {
    options: ["metrics-interval", "config"],
    isIdle: ({ command, metrics }) => command === "tail" && !metrics,
    because: "metrics are shown with --metrics only",
  },
];

function allOf(destinations: Readonly<Record<Signal, readonly Destination[]>>): Destination[] {
  return Object.values(destinations).flat();
}

function isFlag(option: string, given: Given): boolean {
  return given.where(option) === "flag";
}

/** Whether all that is sent goes where options say. */
function namesEndpoints({ byVariable = [] }: Outcome): boolean {
  return byVariable.length === 0;
}

/**
 * A line for each reason why options have no effect.
 *
 * @throws ArgumentsExit where one of them can't be meant.
 */
export function withoutEffect(outcome: Outcome): string[] {
  const { given } = outcome;
  const said = new Set<string>();
  const lines: string[] = [];
  for (const { options, isIdle, because, isMistake } of ROWS) {
    const idle = options.filter((option) => given.where(option) !== null && !said.has(option));
    if (idle.length === 0 || !isIdle(outcome)) continue;
    idle.forEach((option) => said.add(option));
    const names = idle.map((option) => given.nameOf(option));
    const line = `${names.join(", ")} ${idle.length > 1 ? "have" : "has"} no effect: ${because}`;
    if (isMistake !== undefined && idle.some((option) => isMistake(option, outcome))) {
      throw new ArgumentsExit(2, line);
    }
    lines.push(line);
  }
  return lines;
}
