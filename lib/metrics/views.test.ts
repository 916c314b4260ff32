import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  INSTRUMENT_COUNTER,
  INSTRUMENT_GAUGE,
  INSTRUMENT_HISTOGRAM,
  INSTRUMENT_OBSERVABLE_COUNTER,
  INSTRUMENT_OBSERVABLE_GAUGE,
  INSTRUMENT_OBSERVABLE_UP_DOWN_COUNTER,
  INSTRUMENT_UP_DOWN_COUNTER,
} from "../format/fields.ts";
import {
  DEFAULT_STREAM,
  type Instrument,
  keepsKey,
  matchViews,
  parseViews,
  type StreamSettings,
} from "./views.ts";

const COUNTER: Instrument = {
  name: "http.requests",
  type: INSTRUMENT_COUNTER,
  unit: "{request}",
  meterName: "shop",
  meterVersion: "1.0",
  meterSchemaUrl: "https://opentelemetry.io/schemas/1.30.0",
};
/** The streams of the counter, or another instrument, under views given as JSON, which is YAML. */
function streamsOf(
  views: unknown[],
  instrument: Partial<Instrument> = {},
  warn?: (message: string) => void,
): StreamSettings[] {
  const parsed = parseViews(JSON.stringify({ views }), "views.json");
  return matchViews(parsed, { ...COUNTER, ...instrument }, warn);
}

describe("matchViews", () => {
  it("gives the default stream where there are no views, and where none selects", () => {
    assert.deepEqual(matchViews([], COUNTER), [DEFAULT_STREAM]);
    const views = [{ selector: { instrument_name: "other" }, stream: { name: "new" } }];
    assert.deepEqual(streamsOf(views), [DEFAULT_STREAM]);
  });

  it("selects by everything the selector says, all of it", () => {
    const whole = {
      instrument_name: "http.requests",
      instrument_type: "counter",
      unit: "{request}",
      meter_name: "shop",
      meter_version: "1.0",
      meter_schema_url: "https://opentelemetry.io/schemas/1.30.0",
    };
    const isSelected = (selector: object): boolean =>
      streamsOf([{ selector, stream: { description: "seen" } }])[0].description === "seen";
    assert.ok(isSelected({}));
    assert.ok(isSelected(whole));
    for (const key of Object.keys(whole)) {
      const other = key === "instrument_type" ? "histogram" : "other";
      assert.ok(!isSelected({ ...whole, [key]: other }), key);
      assert.ok(isSelected({ ...whole, [key]: null }), key);
    }
  });

  it("knows every type of instrument", () => {
    const types = {
      counter: INSTRUMENT_COUNTER,
      gauge: INSTRUMENT_GAUGE,
      histogram: INSTRUMENT_HISTOGRAM,
      observable_counter: INSTRUMENT_OBSERVABLE_COUNTER,
      observable_gauge: INSTRUMENT_OBSERVABLE_GAUGE,
      observable_up_down_counter: INSTRUMENT_OBSERVABLE_UP_DOWN_COUNTER,
      up_down_counter: INSTRUMENT_UP_DOWN_COUNTER,
    };
    for (const name of Object.keys(types)) {
      const views = [{ selector: { instrument_type: name }, stream: { description: "seen" } }];
      const selected = Object.entries(types).filter(([, type]) =>
        streamsOf(views, { type })[0].description === "seen"
      );
      assert.deepEqual(selected.map(([other]) => other), [name]);
    }
  });

  it("has wildcards in names of instruments", () => {
    const cases: [string, string, boolean][] = [
      ["*", "a", true],
      ["*", "http.requests", true],
      ["http.*", "http.requests", true],
      ["http.*", "http.", true],
      ["http.*", "https.requests", false],
      ["*.requests", "http.requests", true],
      ["*.requests", "http.requests.failed", false],
      ["h*.*s", "http.requests", true],
      ["h*.r*q*s", "http.requests", true],
      ["a*b*c", "a.b.b", false],
      ["a*a", "a", false],
      ["**", "a", true],
      ["?", "a", true],
      ["?", "ab", false],
      ["a?c", "abc", true],
      ["a?c", "ac", false],
      ["?*?", "ab", true],
      ["?*?", "a", false],
      ["?", "🚲", true],
      ["http.requests", "HTTP.requests", false],
      ["http.requests", "http-requests", false],
      ["http.requests.", "http.requests", false],
    ];
    for (const [pattern, name, expected] of cases) {
      const views = [{ selector: { instrument_name: pattern }, stream: { description: "seen" } }];
      const [stream] = streamsOf(views, { name });
      assert.equal(stream.description === "seen", expected, `${pattern} on ${name}`);
    }
  });

  it("takes no longer for patterns made to be slow", () => {
    const views = [{ selector: { instrument_name: "*a".repeat(200) + "b" }, stream: {} }];
    assert.deepEqual(streamsOf(views, { name: "a".repeat(2000) }), [DEFAULT_STREAM]);
  });

  it("makes a stream of each view that selects, in their order", () => {
    const streams = streamsOf([
      { selector: { instrument_name: "http.requests" }, stream: { name: "a" } },
      { selector: { instrument_name: "other" }, stream: { name: "b" } },
      { selector: { instrument_name: "*" }, stream: { description: "c" } },
    ]);
    assert.deepEqual(streams.map((stream) => [stream.name, stream.description]), [
      ["a", undefined],
      [undefined, "c"],
    ]);
  });

  it("drops, and lets other views keep what one drops", () => {
    const drop = { selector: { instrument_name: "*" }, stream: { aggregation: { drop: {} } } };
    assert.deepEqual(streamsOf([drop]), []);
    const keep = { selector: { instrument_name: "http.requests" }, stream: {} };
    assert.deepEqual(streamsOf([keep, drop]), [DEFAULT_STREAM]);
    assert.deepEqual(streamsOf([drop, keep]), [DEFAULT_STREAM]);
    assert.deepEqual(streamsOf([keep, drop], { name: "other" }), []);
  });

  it("makes one stream of views that say the same", () => {
    const warnings: string[] = [];
    const views = [
      { selector: { instrument_name: "*" }, stream: {} },
      { selector: { unit: "1" }, stream: { description: "a" } },
      { selector: { unit: "1" }, stream: { description: "a" } },
      { selector: { instrument_name: "http.requests" }, stream: { name: "http.requests" } },
    ];
    const streams = streamsOf(views, { unit: "1" }, (message) => warnings.push(message));
    assert.deepEqual(streams.map(({ description }) => description), [undefined, "a"]);
    assert.equal(warnings.length, 1, warnings.join("\n"));
  });

  it("warns of streams of one name and makes them all the same", () => {
    const warnings: string[] = [];
    const streams = streamsOf(
      [
        { selector: { instrument_name: "http.requests" }, stream: { aggregation: { sum: {} } } },
        { selector: { instrument_name: "http.requests" }, stream: { name: "HTTP.requests" } },
      ],
      {},
      (message) => warnings.push(message),
    );
    assert.equal(streams.length, 2);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0], /^views\.json:1:\d+: this view makes another stream HTTP\.requests/);
  });

  it("passes over a view whose aggregation makes no sense for the instrument, and warns", () => {
    const kinds = {
      sum: {},
      last_value: {},
      explicit_bucket_histogram: {},
      base2_exponential_bucket_histogram: {},
    };
    const applied: Record<string, string[]> = {};
    const types = [
      ["counter", INSTRUMENT_COUNTER],
      ["up_down_counter", INSTRUMENT_UP_DOWN_COUNTER],
      ["histogram", INSTRUMENT_HISTOGRAM],
      ["gauge", INSTRUMENT_GAUGE],
      ["observable_counter", INSTRUMENT_OBSERVABLE_COUNTER],
      ["observable_up_down_counter", INSTRUMENT_OBSERVABLE_UP_DOWN_COUNTER],
      ["observable_gauge", INSTRUMENT_OBSERVABLE_GAUGE],
    ] as const;
    for (const [name, type] of types) {
      applied[name] = [];
      for (const [kind, settings] of Object.entries(kinds)) {
        const warnings: string[] = [];
        const [stream] = streamsOf(
          [{ selector: {}, stream: { aggregation: { [kind]: settings }, description: "seen" } }],
          { type },
          (message) => warnings.push(message),
        );
        if (stream.description === "seen") applied[name].push(kind);
        else {
          assert.deepEqual(stream, DEFAULT_STREAM);
          assert.match(warnings[0], /this view is not applied to http\.requests: /);
        }
        assert.equal(warnings.length, stream.description === "seen" ? 0 : 1);
      }
    }
    const histograms = ["explicit_bucket_histogram", "base2_exponential_bucket_histogram"];
    assert.deepEqual(applied, {
      counter: ["sum", "last_value", ...histograms],
      up_down_counter: ["sum", "last_value", ...histograms],
      histogram: ["sum", "last_value", ...histograms],
      gauge: ["last_value", ...histograms],
      observable_counter: ["sum"],
      observable_up_down_counter: ["sum"],
      observable_gauge: ["last_value"],
    });
  });
});

describe("keepsKey", () => {
  it("keeps what is included, or everything, but what is excluded", () => {
    const keys = ["a", "a.b", "a.c", "b"];
    const kept = (attribute_keys: object): string[] => {
      const [stream] = streamsOf([{ selector: {}, stream: { attribute_keys } }]);
      return keys.filter((key) => keepsKey(stream.attributeKeys!, key));
    };
    assert.deepEqual(kept({}), keys);
    assert.deepEqual(kept({ included: ["a", "b"] }), ["a", "b"]);
    assert.deepEqual(kept({ included: ["a.*"] }), ["a.b", "a.c"]);
    assert.deepEqual(kept({ included: ["?"] }), ["a", "b"]);
    assert.deepEqual(kept({ excluded: ["a.*"] }), ["a", "b"]);
    assert.deepEqual(kept({ included: ["a*"], excluded: ["a.c"] }), ["a", "a.b"]);
    assert.deepEqual(kept({ included: ["a"], excluded: ["a"] }), []);
    assert.deepEqual(kept({ excluded: ["*"] }), []);
  });
});
