import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Context, ROOT_CONTEXT, SpanKind, trace, TraceFlags } from "@opentelemetry/api";
import * as peer from "@opentelemetry/sdk-trace";
import { Random, seed } from "../../tests/support/random.ts";
import {
  ALWAYS,
  AlwaysOffSampler,
  AlwaysOnSampler,
  CALL,
  type CompiledSampler,
  compileSampler,
  DROP,
  NEVER,
  ParentBasedSampler,
  ratioKeeps,
  RECORD_AND_SAMPLE,
  type Sampler,
  TraceIdRatioBasedSampler,
} from "./sampler.ts";

const TRACE_ID = "0123456789abcdef0123456789abcdef";

function under(isRemote: boolean, sampled: boolean): Context {
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId: TRACE_ID,
    spanId: "0123456789abcdef",
    isRemote,
    traceFlags: sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
  });
}

/** Each kind of parent: its context and the rule that belongs to it. */
const PARENTS: Array<[string, Context, Exclude<keyof CompiledSampler, "sampler">]> = [
  ["none", ROOT_CONTEXT, "root"],
  [
    "invalid",
    trace.setSpanContext(ROOT_CONTEXT, {
      traceId: "0".repeat(32),
      spanId: "0".repeat(16),
      traceFlags: TraceFlags.SAMPLED,
    }),
    "root",
  ],
  ["remote, sampled", under(true, true), "remoteSampled"],
  ["remote, not sampled", under(true, false), "remoteNotSampled"],
  ["local, sampled", under(false, true), "localSampled"],
  ["local, not sampled", under(false, false), "localNotSampled"],
];

function decide(sampler: Sampler, context: Context, traceId: string): number {
  return sampler.shouldSample(context, traceId, "name", SpanKind.INTERNAL, {}, []).decision;
}

/** The decision of a compiled sampler; fails on CALL. */
function decideCompiled(rule: number, traceId: string): number {
  assert.notEqual(rule, CALL);
  if (rule === ALWAYS) return RECORD_AND_SAMPLE;
  if (rule === NEVER) return DROP;
  const words = new DataView(Uint8Array.from(Buffer.from(traceId, "hex")).buffer);
  const [a, b, c, d] = [0, 4, 8, 12].map((at) => words.getInt32(at, true));
  return ratioKeeps(a, b, c, d, rule) ? RECORD_AND_SAMPLE : DROP;
}

const RATIOS = [0, 1e-12, 1e-9, 0.001, 0.1, 0.25, 1 / 3, 0.5, 0.75, 0.999, 1 - 1e-12, 1];

/** Each of our samplers beside the same one of the OpenTelemetry SDK. */
function pairs(): Array<[Sampler, Sampler]> {
  const list: Array<[Sampler, Sampler]> = [
    [new AlwaysOnSampler(), new peer.AlwaysOnSampler()],
    [new AlwaysOffSampler(), new peer.AlwaysOffSampler()],
    [
      new ParentBasedSampler({ root: new AlwaysOnSampler() }),
      new peer.ParentBasedSampler({ root: new peer.AlwaysOnSampler() }),
    ],
    [
      new ParentBasedSampler({
        root: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(0.3) }),
        remoteParentSampled: new TraceIdRatioBasedSampler(0.7),
        remoteParentNotSampled: new AlwaysOnSampler(),
        localParentSampled: new AlwaysOffSampler(),
        localParentNotSampled: new ParentBasedSampler({
          root: new AlwaysOnSampler(),
          localParentNotSampled: new TraceIdRatioBasedSampler(0.6),
        }),
      }),
      new peer.ParentBasedSampler({
        root: new peer.ParentBasedSampler({ root: new peer.TraceIdRatioBasedSampler(0.3) }),
        remoteParentSampled: new peer.TraceIdRatioBasedSampler(0.7),
        remoteParentNotSampled: new peer.AlwaysOnSampler(),
        localParentSampled: new peer.AlwaysOffSampler(),
        localParentNotSampled: new peer.ParentBasedSampler({
          root: new peer.AlwaysOnSampler(),
          localParentNotSampled: new peer.TraceIdRatioBasedSampler(0.6),
        }),
      }),
    ],
  ];
  for (const ratio of RATIOS) {
    list.push([new TraceIdRatioBasedSampler(ratio), new peer.TraceIdRatioBasedSampler(ratio)]);
  }
  return list;
}

describe("samplers", () => {
  it("decide as the OpenTelemetry SDK's do, called and compiled, on random and edge ids", () => {
    console.log(`seed ${seed}`);
    const random = new Random();
    const word = (): string => (random.word() >>> 0).toString(16).padStart(8, "0");
    const ids = Array.from({ length: 2_000 }, () => word() + word() + word() + word());
    const zeros = "0".repeat(24);
    for (const ratio of RATIOS) {
      // Ids that fold to the threshold and its neighbours.
      const threshold = Math.floor(ratio * 0xffffffff);
      for (const near of [threshold - 1, threshold, threshold + 1]) {
        if (near > 0 && near <= 0xffffffff) ids.push(zeros + near.toString(16).padStart(8, "0"));
      }
    }
    ids.push("f".repeat(32), "00000001000000010000000100000001", "ffffffff" + zeros);
    let kept = 0;
    let dropped = 0;
    for (const [ours, theirs] of pairs()) {
      const compiled = compileSampler(ours);
      for (const [parent, context, field] of PARENTS) {
        for (const id of ids) {
          const expected = decide(theirs, context, id);
          const where = `seed ${seed}: ${ours}, parent ${parent}, ${id}`;
          assert.equal(decide(ours, context, id), expected, where);
          assert.equal(decideCompiled(compiled[field], id), expected, `compiled, ${where}`);
          expected === DROP ? dropped++ : kept++;
        }
      }
    }
    assert.ok(kept > 10_000 && dropped > 10_000);
  });

  it("describe themselves as the OpenTelemetry SDK's do", () => {
    for (const [ours, theirs] of pairs()) assert.equal(`${ours}`, `${theirs}`);
  });

  it("keep no invalid trace id by ratio", () => {
    for (const id of ["0".repeat(32), "", "xyz", "g".repeat(32)]) {
      for (const ratio of [0.5, 1]) {
        assert.equal(decide(new TraceIdRatioBasedSampler(ratio), ROOT_CONTEXT, id), DROP);
      }
    }
    assert.equal(ratioKeeps(0, 0, 0, 0, 0xffffffff), false);
  });

  it("clamp ratios as the OpenTelemetry SDK's do", () => {
    for (const ratio of [-1, -0, NaN, 2, Infinity, -Infinity, undefined as unknown as number]) {
      assert.equal(
        `${new TraceIdRatioBasedSampler(ratio)}`,
        `${new peer.TraceIdRatioBasedSampler(ratio)}`,
      );
    }
  });
});

describe("compileSampler", () => {
  it("turns ratios of 0 and 1 into NEVER and ALWAYS", () => {
    assert.equal(compileSampler(new TraceIdRatioBasedSampler(0)).root, NEVER);
    assert.equal(compileSampler(new TraceIdRatioBasedSampler(1)).root, ALWAYS);
    assert.equal(compileSampler(new TraceIdRatioBasedSampler(0.5)).localSampled, 0x7fffffff);
  });

  it("calls samplers it does not know, the OpenTelemetry SDK's among them", () => {
    const custom: Sampler = {
      shouldSample: () => ({ decision: RECORD_AND_SAMPLE }),
      toString: () => "AlwaysOnSampler",
    };
    for (const sampler of [custom, new peer.AlwaysOnSampler()]) {
      const { sampler: asked, ...rules } = compileSampler(sampler);
      assert.equal(asked, sampler);
      assert.deepEqual(Object.values(rules), [CALL, CALL, CALL, CALL, CALL]);
    }
  });

  it("calls only where a parent-based sampler has a delegate it does not know", () => {
    const sampler = new ParentBasedSampler({ root: new peer.TraceIdRatioBasedSampler(0.5) });
    assert.deepEqual(compileSampler(sampler), {
      sampler,
      root: CALL,
      remoteSampled: ALWAYS,
      remoteNotSampled: NEVER,
      localSampled: ALWAYS,
      localNotSampled: NEVER,
    });
  });

  it("calls subclasses and objects that decide otherwise", () => {
    class Never extends AlwaysOnSampler {
      override shouldSample(): { decision: number } {
        return { decision: DROP };
      }
    }
    const patched = new ParentBasedSampler({ root: new AlwaysOnSampler() });
    patched.shouldSample = () => ({ decision: DROP });
    assert.equal(compileSampler(new Never()).root, CALL);
    assert.equal(compileSampler(patched).localSampled, CALL);
    class Named extends AlwaysOnSampler {}
    assert.equal(compileSampler(new Named()).root, ALWAYS);
  });
});
