/** A program for `otlp-mmap run`, which has spans open when it does what it is told: HOW [CODE]. */
import process from "node:process";
import { trace } from "@opentelemetry/api";
import { logs } from "@opentelemetry/api-logs";

const [how, code] = process.argv.slice(2);
const tracer = trace.getTracer("app");
tracer.startActiveSpan("request", { attributes: { "http.route": "/items" } }, () => {
  tracer.startSpan("done").end();
  tracer.startActiveSpan("query", () => tracer.startSpan("connect"));
  tracer.startSpan("render").addEvent("first byte");
  for (let i = 0; i < 12; i++) {
    logs.getLogger("app").emit({ body: `step ${i}`, severityNumber: 9 });
  }
});

const ways: Record<string, () => void> = {
  /** Ends with CODE. */
  exit: () => void setTimeout(() => process.exit(Number(code)), 100),
  /** Dies of an exception. */
  throw: () =>
    void setTimeout(() => {
      throw new TypeError("out of stock");
    }, 100),
  /** Dies of a rejection. */
  reject: () => void setTimeout(() => void Promise.reject(new TypeError("out of stock")), 100),
  /** Gives its input back. */
  echo: () => void process.stdin.pipe(process.stdout),
  /** Waits. */
  wait: () => void setInterval(() => {}, 1000),
  /** Counts a signal for a while, then ends with CODE. */
  count: () => {
    let count = 0;
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      process.on(signal, () => {
        if (count++ > 0) return;
        setTimeout(() => {
          console.log(`${signal} ${count} times, terminal: ${process.stdin.isTTY === true}`);
          process.exit(Number(code));
        }, 300);
      });
    }
    setInterval(() => {}, 1000);
  },
};
ways[how]();
// Not at once: a signal that comes in the tick in which its handler was added may find none.
setTimeout(() => console.log(`pid ${process.pid}`), 50);
