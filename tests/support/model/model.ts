/**
 * What the files hold after the calls of the model test, by the rules that README and PROTOCOL.md
 * give: arrays of records, without a byte of the format.
 *
 * @module
 */
import { BIG_ATTRIBUTES } from "./application.ts";
import type { Call, Sequence } from "./operations.ts";

/** A call uses up to so many numbers: that many records fill the largest ring. */
export const NUMBERS_PER_CALL = 100;

const EVENTS = 0;
const SPANS = 1;
const MEASUREMENTS = 2;

/** A record that was claimed. */
export interface ModelRecord {
  /** What it says, as `textOf` of the test makes it of what is read. */
  readonly text: string;
  /** The span it belongs to; null for none. */
  readonly span: ModelSpan | null;
  /** What a reader makes of it. */
  fate: "delivered" | "torn" | "length" | "malformed";
}

/** A span that was started. */
export interface ModelSpan {
  readonly number: number;
  /** Left out for want of room: attributes, events, links. */
  readonly dropped: [number, number, number];
}

/** A ring of a file. */
export interface ModelRing {
  readonly slots: number;
  readonly records: ModelRecord[];
  released: number;
  readonly refused: { ring_full: number; reserve: number; dictionary_full: number };
  truncated: number;
  /** No record is claimed after this many. */
  limit: number;
}

/** A file. */
export interface ModelFile {
  readonly rings: readonly [ModelRing, ModelRing, ModelRing];
  state: "writing" | "superseded" | "clean" | "dead";
  /** Nobody can read it any more. */
  unreadable: boolean;
  /** The collector has taken all of it. */
  removed: boolean;
  readonly keys: Set<string>;
  full: boolean;
}

type Refusal = "refused" | "used up" | "dictionary";

/** The application of the model. */
export class ModelApplication {
  readonly files: ModelFile[] = [];
  private readonly slots: Sequence["slots"];
  private readonly open: (ModelSpan | null)[] = [];
  private reserved = 0;

  constructor(slots: Sequence["slots"]) {
    this.slots = slots;
    this.files.push(this.newFile());
  }

  /** The call of the same name in application.ts. */
  call(call: Call, number: number): void {
    const index = "span" in call ? call.span % Math.max(1, this.open.length) : 0;
    const span = this.open.at(index) ?? null;
    const text = (what: string) => `${what} ${number}`;
    switch (call.do) {
      case "start": {
        const started: ModelSpan = { number, dropped: [0, 0, 0] };
        const wrote = this.write(SPANS, text("start"), started, this.reserve() + 1, ["start"]);
        if (wrote) this.reserved++;
        this.open.push(wrote ? started : null);
        return;
      }
      case "attribute":
      case "new key":
        if (span === null) return;
        if (
          !this.write(SPANS, text(call.do), span, this.reserve(), [
            call.do === "new key" ? text("key") : call.do,
          ])
        ) span.dropped[0]++;
        return;
      case "link":
        if (span === null) return;
        if (!this.write(SPANS, text("link"), span, this.reserve(), [])) span.dropped[2]++;
        return;
      case "rename":
        if (span !== null) this.write(SPANS, text("rename"), span, this.reserve(), []);
        return;
      case "event":
        if (span === null) return;
        if (!this.write(EVENTS, text("event"), span, 0, ["name", "event"])) span.dropped[1]++;
        return;
      case "big":
        if (span !== null) this.big(span, number);
        return;
      case "end":
        this.open.splice(index, 1);
        if (span === null) return;
        this.write(SPANS, text("end"), span, 0, []);
        this.reserved--;
        return;
      case "log":
        this.write(EVENTS, text("log"), null, 0, []);
        return;
      case "long log":
        if (this.write(EVENTS, text("log"), null, 0, [])) this.file.rings[EVENTS].truncated++;
        return;
      case "measure":
        this.write(MEASUREMENTS, text("measure"), null, 0, []);
        return;
      case "fill ring": {
        const kind = (["log", "start", "measure"] as const)[call.ring];
        for (let i = 0; i < Math.max(...this.slots); i++) this.call({ do: kind }, number + i);
        return;
      }
      case "fill dictionary":
        this.file.full = true;
        return;
      case "use up sequences": {
        const ring = this.file.rings[call.ring];
        ring.limit = ring.records.length;
      }
    }
  }

  /** Its last file is left like this. */
  over(state: "clean" | "dead"): void {
    this.file.state = state;
  }

  /** Spans that were not ended, refused ones among them. */
  get openSpans(): number {
    return this.open.length;
  }

  private get file(): ModelFile {
    return this.files.at(-1)!;
  }

  private newFile(): ModelFile {
    const rings = this.slots.map((slots): ModelRing => ({
      slots,
      records: [],
      released: 0,
      refused: { ring_full: 0, reserve: 0, dictionary_full: 0 },
      truncated: 0,
      limit: Infinity,
    }));
    return {
      rings: rings as unknown as ModelFile["rings"],
      state: "writing",
      unreadable: false,
      removed: false,
      keys: new Set(),
      full: false,
    };
  }

  /** Slots that only ends of spans may take. */
  private reserve(): number {
    return Math.min(this.reserved, this.slots[SPANS] >> 2);
  }

  private write(
    ring: number,
    text: string,
    span: ModelSpan | null,
    keep: number,
    keys: readonly string[],
  ): boolean {
    const result = this.claim(ring, text, span, keep, keys);
    if (result === null) return true;
    if (result === "refused") return false;
    if (this.succeed(result)) return this.again(ring, this.claim(ring, text, span, keep, keys));
    return this.again(ring, result);
  }

  private again(ring: number, result: Refusal | null): boolean {
    const { refused } = this.file.rings[ring];
    if (result === "dictionary") refused.dictionary_full++;
    if (result === "used up") refused.ring_full++;
    return result === null;
  }

  private claim(
    number: number,
    text: string,
    span: ModelSpan | null,
    keep: number,
    keys: readonly string[],
  ): Refusal | null {
    const { file } = this;
    const ring = file.rings[number];
    const next = ring.records.length - ring.released + 1;
    if (next + keep >= ring.slots) {
      ring.refused[next >= ring.slots ? "ring_full" : "reserve"]++;
      return "refused";
    }
    if (ring.records.length >= ring.limit) return "used up";
    if (file.full && keys.some((key) => !file.keys.has(key))) return "dictionary";
    for (const key of keys) file.keys.add(key);
    ring.records.push({ text, span, fate: "delivered" });
    return null;
  }

  /** A new file; for want of room for keys only where a reader keeps up. */
  private succeed(result: Refusal): boolean {
    const previous = this.files.at(-2);
    if (result === "dictionary" && previous !== undefined && !isDrained(previous)) return false;
    this.file.state = "superseded";
    this.files.push(this.newFile());
    return true;
  }

  /** Attributes that take a record each: those behind one that is refused are left out. */
  private big(span: ModelSpan, number: number): void {
    const key = (i: number) => `big ${i}`;
    const text = (i: number) => `big ${i} ${number}`;
    // The second key is looked up before the first record is done.
    if (!this.write(SPANS, text(0), span, this.reserve(), [key(0), key(1)])) {
      span.dropped[0] += BIG_ATTRIBUTES;
      return;
    }
    const { file } = this;
    const ring = file.rings[SPANS];
    for (let i = 1; i < BIG_ATTRIBUTES; i++) {
      const hasKey = !file.full || file.keys.has(key(i));
      // The record before this attribute says that something is missing.
      if (!hasKey) ring.truncated++;
      else file.keys.add(key(i));
      const result = hasKey ? this.claim(SPANS, text(i), span, this.reserve() + 1, []) : "no key";
      if (result === null) continue;
      if (result === "used up") ring.refused.ring_full++;
      span.dropped[0] += BIG_ATTRIBUTES - i;
      return;
    }
  }
}

/** Has the reader released everything? */
export function isDrained({ rings }: ModelFile): boolean {
  return rings.every(({ records, released }) => records.length === released);
}
