import { trace } from "@opentelemetry/api";

trace.getTracer("app").startSpan("work").end();
console.log("it goes on");
