/** Records at every depth of a recursion until there is no stack left, told a line at a time. */
import { Writer } from "../../lib/writer.ts";
import { answerCommands } from "../support/programs.ts";

const RING = { slots: 16_384, slotBytes: 256 };
const kept: Writer[] = [];

const commands: { [op: string]: (command: never) => unknown } = {
  /** Records at every depth of a recursion until there is no stack left, `rounds` times. */
  overflow(
    { path, producers, rounds }: { path: string; producers: "one" | "many"; rounds: number },
  ) {
    const writer = Writer.create(path, { producers, spans: RING, events: RING });
    kept.push(writer);
    const scope = writer.scope({ name: "deep" });
    const span = scope.startSpan("deep");
    let written = 1;
    let overflows = 0;
    const results = new Map<string, number>();
    const call = (record: () => string): void => {
      const result = record();
      results.set(result, (results.get(result) ?? 0) + 1);
      written++;
    };
    // Frames of several sizes, so that the end of the stack comes at many places of a write.
    const dive = (depth: number, record: () => string, ...padding: number[]): void => {
      try {
        dive(depth + 1, record, ...padding);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        overflows++;
        if (overflows % 8 === 0) throw error;
        call(record);
      }
    };
    for (let round = 0; round < rounds; round++) {
      const record = [
        () => span.setAttributes({ round }),
        () => span.addEvent("deep", { attributes: { round } }),
        () => span.rename(`round ${round}`),
      ][round % 3];
      try {
        dive(0, record, ...new Array(round % 17).fill(round));
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
      }
    }
    const { events, spans } = writer.counters();
    const refused = [events, spans].map(({ lost }) =>
      lost.ring_full + lost.reserve + lost.dictionary_full + lost.encode
    );
    return { written, overflows, results: [...results], refused };
  },
};

await answerCommands((command) => commands[command.op as string](command as never));
