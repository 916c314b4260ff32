/**
 * A collector is killed at random moments, and before it starts again its journal or its spool is damaged:
 * bytes change, or the end is gone. What was not hit arrives, and what was lost is said, and counted.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { cpSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { inspect } from "../collector/inspect/inspect.ts";
import { closes, describeLedger } from "../lib/file/ledger.ts";
import { openSpool } from "../lib/spool/mod.ts";
import {
  type JournalPlace,
  places,
  sleep,
  startJournaled,
  startLoad,
  untilDone,
} from "./support/journaled.ts";
import { Random, seed } from "./support/random.ts";
import { isFullSize, otherRuntime, ownRuntime } from "./support/runtimes.ts";
import { decode } from "./support/stored.ts";

const ROUNDS = isFullSize ? 200 : 8;
const SIGNALS = ["traces", "metrics", "logs"] as const;
type Bodies = Record<(typeof SIGNALS)[number], Uint8Array[]>;

const newPlace = places("damaged-collector");

/** Takes everything out of a spool; `corrupt` is whether it says that something was damaged. */
function drain(folder: string): { bodies: Bodies; corrupt: boolean } {
  const spool = openSpool(folder, { maxBytes: 2 ** 31, sync: "none" });
  const bodies: Bodies = { traces: [], metrics: [], logs: [] };
  let corrupt = false;
  for (const signal of SIGNALS) {
    for (let next = spool.next(signal); next !== null; next = spool.next(signal)) {
      bodies[signal].push(Uint8Array.from(next.body));
      spool.acknowledge(next.id);
    }
    const { dropped, torn } = spool.counts[signal];
    corrupt ||= dropped.corrupt.requests + torn > 0;
  }
  spool.close();
  return { bodies, corrupt };
}

/** Requests of the first that the second does not have. */
function without(all: Bodies, left: Bodies): Bodies {
  const hashOf = (body: Uint8Array) => createHash("sha1").update(body).digest("base64");
  const missing: Bodies = { traces: [], metrics: [], logs: [] };
  for (const signal of SIGNALS) {
    const there = new Set(left[signal].map(hashOf));
    missing[signal] = all[signal].filter((body) => !there.has(hashOf(body)));
  }
  return missing;
}

/** Spans and log records that came, by number. */
class Numbers {
  readonly spans = new Set<number>();
  readonly logs = new Set<number>();

  add({ traces, metrics, logs }: Bodies): void {
    const arrived = decode({ bodies: traces, metrics, logs });
    for (const { span } of arrived.spans) this.spans.add(numberIn(span.name));
    for (const { log } of arrived.logs) this.logs.add(numberIn(String(log.body?.value.value)));
  }
}

function numberIn(text: string): number {
  return Number(text.slice(text.lastIndexOf(" ") + 1));
}

/** Changes some bytes of a file, or cuts its end off. Says what. */
function damage(path: string, random: Random): string {
  const bytes = readFileSync(path);
  if (bytes.length === 0) return "nothing";
  if (random.below(3) === 0) {
    const at = random.below(bytes.length);
    truncateSync(path, at);
    return `${path} cut at ${at} of ${bytes.length}`;
  }
  const places = Array.from({ length: 1 + random.below(3) }, () => random.below(bytes.length));
  for (const at of places) bytes[at] ^= 1 << random.below(8);
  writeFileSync(path, bytes);
  return `${path} changed at ${places} of ${bytes.length}`;
}

/** The files that may be damaged: segments of the journal, or of the spool's spans and log records. */
function targets({ journal, spool }: JournalPlace, which: "journal" | "spool"): string[] {
  const folders = which === "journal"
    ? [journal]
    : ["traces", "logs"].map((each) => join(spool, each));
  return folders.flatMap((folder) =>
    readdirSync(folder).filter((name) => which === "spool" || name.endsWith(".journal"))
      .map((name) => join(folder, name))
  );
}

/** What a collector says is lost of each ring, events first: with a damaged journal, at most. */
function saidLost(text: string): [events: number, spans: number] {
  const sum = (ring: string): number =>
    [...text.matchAll(/^(?:error|warn) .*/gm)].flatMap(([line]) => [
      ...line.matchAll(new RegExp(`(\\d+) of the ${ring} rings?`, "g")),
    ]).reduce((total, [, count]) => total + Number(count), 0);
  return [sum("events"), sum("spans")];
}

describe("a collector whose journal or spool is damaged while it is not there", () => {
  it(`loses what was hit, says so and counts it: ${ROUNDS} times (seed ${seed})`, {
    timeout: isFullSize ? 3_600_000 : 180_000,
  }, async () => {
    const random = new Random();
    const place = newPlace();
    const options = { logBytes: 100_000 };
    const load = await startLoad(place, "load");
    await load.ask({ run: 20 });
    const came = new Numbers();
    const hit = new Numbers();
    const said = [0, 0];
    /** Numbers of what had not come when the journal was damaged. */
    const risked = { spans: new Set<number>(), logs: new Set<number>() };
    const done: string[] = [];
    let texts = "";
    const check = async (): Promise<void> => {
      const { path } = await load.ask({});
      const { facts } = inspect(path);
      for (const ledger of facts?.ledger ?? []) {
        assert.ok(closes(ledger), describeLedger(ledger).join("; "));
      }
    };
    const heard = (text: string): void => {
      texts += text;
      saidLost(text).forEach((count, i) => said[i] += count);
      assert.doesNotMatch(text, /does not close/);
    };
    try {
      for (let round = 0; round < ROUNDS; round++) {
        const runtime = round % 4 === 3 ? otherRuntime : ownRuntime;
        const collector = await startJournaled(place, options, runtime);
        await sleep(100 + random.below(300));
        await collector.stop("SIGKILL");
        heard(collector.text());
        await check();

        const copy = `${place.spool}.copy`;
        cpSync(place.spool, copy, { recursive: true });
        const which = random.pick(["journal", "spool"] as const);
        const paths = targets(place, which);
        if (paths.length > 0) done.push(damage(random.pick(paths), random));
        const whole = drain(copy).bodies;
        rmSync(copy, { recursive: true });
        const { bodies: left, corrupt } = drain(place.spool);
        const gone = without(whole, left);
        if (which === "journal") assert.deepEqual(gone, { traces: [], metrics: [], logs: [] });
        // The end of a segment that is gone at the end of a record is not to be seen.
        else if (gone.traces.length + gone.logs.length > 0 && !/ cut /.test(done.at(-1)!)) {
          assert.ok(corrupt, `nothing is said of ${done.at(-1)}`);
        }
        came.add(left);
        hit.add(gone);
        if (which === "spool") continue;
        const { number } = await load.ask({});
        for (const what of ["spans", "logs"] as const) {
          for (let i = 0; i < number; i++) if (!came[what].has(i)) risked[what].add(i);
        }
      }
      const recorded = await load.kill(3);
      const last = await startJournaled(place, options);
      await untilDone(place);
      assert.deepEqual(await last.stop(), { code: 0, signal: null }, last.text());
      heard(last.text());
      came.add(drain(place.spool).bodies);

      for (const [i, what] of (["logs", "spans"] as const).entries()) {
        const all = Array.from({ length: recorded.number }, (_, number) => number);
        const missing = all.filter((number) => !came[what].has(number));
        const unhit = missing.filter((number) => !hit[what].has(number));
        console.log(
          `${what}: ${missing.length} of ${recorded.number} missing, ${unhit.length} of them not hit in the spool, ${
            said[i]
          } said`,
        );
        assert.ok(
          unhit.length <= said[i],
          `${unhit.length} ${what} are missing that no damaged request held, ${
            said[i]
          } records said`,
        );
        assert.deepEqual(unhit.filter((number) => !risked[what].has(number)), []);
        assert.ok([...came[what]].every((number) => number < recorded.number), "nothing else came");
      }
    } catch (error) {
      const cause = { cause: error };
      throw new Error(`seed ${seed}: ${done.join("; ")}\nthe collectors said: ${texts}`, cause);
    } finally {
      await load.program.stop("kill");
    }
  });
});
