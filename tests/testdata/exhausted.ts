/** Dies of a want of memory while an attribute is read, inside of a write: PATH PRODUCERS. */
import process from "node:process";
import { Writer } from "../../lib/writer.ts";

const [path, producers] = process.argv.slice(2);
const writer = Writer.create(path, { producers: producers as "one" | "many" });
const scope = writer.scope({ name: "exhausted" });
scope.startSpan("whole").end();
const attributes = {
  first: 1,
  get second(): number {
    const all: unknown[] = [];
    let rest: unknown = null;
    for (;;) {
      try {
        for (;;) all.push(new Array(1000).fill({ all }));
      } catch {
        // Bun throws where a large piece is wanted, and ends where a small one is.
        for (let i = 0; i < 1_000_000; i++) rest = { rest };
      }
    }
  },
};
scope.startSpan("never", { attributes });
