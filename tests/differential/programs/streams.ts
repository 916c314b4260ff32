/**
 * Views: who is selected, and what becomes of it.
 *
 * @module
 */
import { metrics, ValueType } from "@opentelemetry/api";
import type { Program } from "../programs.ts";

function selected(): void {
  for (const scope of [["a"], ["a", "1"], ["b", "1", { schemaUrl: "https://example.org" }]]) {
    const m = metrics.getMeter(...scope as [string, string?, object?]);
    m.createCounter("http.requests", { unit: "1" }).add(1, { route: "/", method: "GET" });
    m.createCounter("http.errors").add(2, { route: "/", method: "GET" });
    m.createCounter("db.requests").add(3, { table: "t" });
    m.createHistogram("http.duration", { unit: "s" }).record(0.2, { route: "/" });
    m.createHistogram("db.duration", { unit: "ms" }).record(20);
    m.createUpDownCounter("active").add(4, { route: "/" });
    m.createGauge("level").record(5, { route: "/" });
    m.createObservableGauge("observed.level").addCallback((it) => it.observe(6, { route: "/" }));
  }
}

function altered(): void {
  const m = metrics.getMeter("altered");
  const merged = m.createCounter("merged", { valueType: ValueType.INT });
  for (let i = 0; i < 6; i++) merged.add(1, { keep: i % 2, lose: i });
  const observed = m.createObservableCounter("observed");
  observed.addCallback((result) => {
    result.observe(1, { keep: 1, lose: 1 });
    result.observe(2, { keep: 2, lose: 2 });
  });
  m.createCounter("emptied").add(1, { lose: 1 });
  for (const name of ["denied", "denied.none", "kept.and.denied"]) {
    const counter = m.createCounter(name);
    for (let i = 0; i < 6; i++) counter.add(1, { keep: i % 2, lose: i, other: true });
  }
  for (const name of ["starred", "denied.starred"]) {
    m.createCounter(name).add(1, { "a?": 1, ab: 2, "*": 3, c: 4 });
  }
  m.createObservableGauge("denied.observed").addCallback((it) => it.observe(1, { a: 1, lose: 1 }));
  m.createHistogram("twice").record(3, { a: 1, b: 2 });
  m.createHistogram("advised", { advice: { explicitBucketBoundaries: [7, 8] } }).record(7.5);
  const advice = { explicitBucketBoundaries: [7, 8] };
  m.createHistogram("advised.by.default", { advice }).record(7.5);
  m.createHistogram("to.last").record(1, { a: 1 });
  m.createHistogram("to.sum", { valueType: ValueType.INT }).record(3, { a: 1 });
  m.createUpDownCounter("up.to.histogram").add(-3, { a: 1 });
  m.createCounter("counter.to.histogram").add(3, { a: 1 });
  m.createCounter("counter.to.exponential").add(3, { a: 1 });
  m.createGauge("gauge.to.histogram").record(3, { a: 1 });
  m.createObservableGauge("observed.to.drop").addCallback((result) => result.observe(1));
}

/** What is observed has no distribution. */
async function observedAsHistogram(collect: () => Promise<unknown>): Promise<void> {
  const m = metrics.getMeter("observed");
  let round = 1;
  m.createObservableCounter("counter").addCallback((it) => it.observe(10 * round, { a: 1, b: 2 }));
  m.createObservableUpDownCounter("up.down").addCallback((it) => it.observe(10 - round));
  m.createObservableGauge("gauge").addCallback((it) => it.observe(round));
  m.createObservableGauge("twice").addCallback((it) => it.observe(round));
  await collect();
  round = 2;
}

/** A view that says nothing of boundaries still takes the place of the advice. */
function advised(): void {
  metrics.getMeter("advised").createHistogram("advised", {
    advice: { explicitBucketBoundaries: [7, 8] },
  }).record(7.5);
}

const CHANGES: NonNullable<Program["settings"]> = {
  views: [
    { instrumentName: "merged", attributeKeys: ["keep"] },
    { instrumentName: "observed", attributeKeys: ["keep"], name: "observed.renamed" },
    { instrumentName: "emptied", attributeKeys: [] },
    { instrumentName: "denied", excludedAttributeKeys: ["lose", "lose", ""] },
    { instrumentName: "denied.observed", excludedAttributeKeys: ["lose"] },
    { instrumentName: "starred", attributeKeys: ["a?", "*"] },
    { instrumentName: "denied.starred", excludedAttributeKeys: ["a?", "*"] },
    { instrumentName: "denied.none", excludedAttributeKeys: [] },
    {
      instrumentName: "kept.and.denied",
      attributeKeys: ["keep", "lose"],
      excludedAttributeKeys: ["lose", "other"],
    },
    { instrumentName: "twice", name: "twice.first", attributeKeys: ["a"] },
    {
      instrumentName: "twice",
      name: "twice.second",
      description: "exponential",
      aggregation: { type: "exponential_histogram", maxSize: 4 },
    },
    {
      instrumentName: "advised",
      aggregation: { type: "explicit_bucket_histogram", boundaries: [1, 2, 3] },
    },
    { instrumentName: "advised.by.default", description: "changed" },
    { instrumentName: "to.last", aggregation: { type: "last_value" } },
    { instrumentName: "to.sum", aggregation: { type: "sum" } },
    {
      instrumentName: "up.to.histogram",
      aggregation: { type: "explicit_bucket_histogram", boundaries: [-5, 0, 5] },
    },
    {
      instrumentName: "counter.to.histogram",
      aggregation: { type: "explicit_bucket_histogram", boundaries: [1, 5] },
    },
    {
      instrumentName: "counter.to.exponential",
      aggregation: { type: "exponential_histogram", maxSize: 8 },
    },
    {
      instrumentName: "gauge.to.histogram",
      aggregation: { type: "explicit_bucket_histogram", boundaries: [1, 5] },
    },
    { instrumentName: "observed.to.drop", aggregation: { type: "drop" } },
  ],
};

export const programs: Readonly<Record<string, Program>> = {
  "views by name": {
    settings: {
      views: [
        { instrumentName: "http.*", attributeKeys: ["route"] },
        { instrumentName: "*.level", description: "changed" },
        { instrumentName: "nothing*", aggregation: { type: "drop" } },
      ],
    },
    run: selected,
  },
  "views by type and unit": {
    settings: {
      views: [
        { instrumentType: "counter", attributeKeys: [] },
        { instrumentType: "observable_gauge", aggregation: { type: "drop" } },
        {
          instrumentType: "histogram",
          instrumentUnit: "ms",
          aggregation: { type: "explicit_bucket_histogram", boundaries: [10, 30] },
        },
      ],
    },
    run: selected,
  },
  "views by meter": {
    settings: {
      views: [
        { meterName: "b", aggregation: { type: "drop" } },
        { meterName: "a", instrumentName: "http.requests", name: "requests" },
      ],
    },
    run: selected,
  },
  "views of all": {
    settings: { views: [{ instrumentName: "*", attributeKeys: ["route"] }] },
    run: selected,
  },
  "view over advice": {
    settings: {
      views: [{
        instrumentName: "advised",
        aggregation: { type: "explicit_bucket_histogram" },
      }],
    },
    run: advised,
  },
  "views that make histograms of what is observed": {
    settings: {
      views: [
        {
          instrumentName: "counter",
          name: "renamed",
          aggregation: { type: "explicit_bucket_histogram", boundaries: [1, 5] },
          attributeKeys: ["a"],
        },
        { instrumentName: "up.down", aggregation: { type: "exponential_histogram" } },
        { instrumentType: "observable_gauge", aggregation: { type: "explicit_bucket_histogram" } },
        { instrumentName: "twice", description: "another view of it" },
      ],
    },
    run: observedAsHistogram,
  },
  "views that change": { settings: CHANGES, run: altered },
  "views that change, delta": { settings: { ...CHANGES, temporality: "delta" }, run: altered },
};
