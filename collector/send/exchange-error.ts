/**
 * How an exchange with a server fails that no call of the system failed in.
 *
 * @module
 */

/** Why an exchange without a system error failed. */
export type FailureCode =
  | "CONNECT_TIMEOUT"
  | "ANSWER_TIMEOUT"
  | "CLOSED"
  | "CANCELLED"
  | "PROXY_REFUSED";

/** An exchange that failed in a way that has no system error. */
export class ExchangeError extends Error {
  readonly code: FailureCode;
  constructor(code: FailureCode, message: string) {
    super(message);
    this.name = "ExchangeError";
    this.code = code;
  }
}
