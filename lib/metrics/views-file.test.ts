import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { INSTRUMENT_HISTOGRAM } from "../format/fields.ts";
import { parseViews } from "./views.ts";

const NOTHING = {
  name: undefined,
  description: undefined,
  aggregation: { kind: "default" },
  cardinalityLimit: undefined,
  attributeKeys: undefined,
};

describe("parseViews", () => {
  it("reads everything a view can say", () => {
    const [view, ...more] = parseViews(
      `
views:
  - selector:
      instrument_name: checkout.duration
      instrument_type: histogram
      unit: ms
      meter_name: shop
      meter_version: 1.2.3
      meter_schema_url: https://opentelemetry.io/schemas/1.30.0
    stream:
      name: checkout.seconds
      description: How long a checkout takes
      aggregation:
        explicit_bucket_histogram:
          boundaries: [-1, 0, 0.5, 1e3]
          record_min_max: false
      aggregation_cardinality_limit: 50
      attribute_keys:
        included: [region, "user.*"]
        excluded: [user.mail]
`,
      "views.yaml",
    );
    assert.deepEqual(more, []);
    assert.deepEqual(view, {
      place: "views.yaml:3:5",
      selector: {
        instrumentName: "checkout.duration",
        instrumentType: INSTRUMENT_HISTOGRAM,
        unit: "ms",
        meterName: "shop",
        meterVersion: "1.2.3",
        meterSchemaUrl: "https://opentelemetry.io/schemas/1.30.0",
      },
      stream: {
        name: "checkout.seconds",
        description: "How long a checkout takes",
        aggregation: {
          kind: "explicit_bucket_histogram",
          boundaries: [-1, 0, 0.5, 1000],
          recordMinMax: false,
        },
        cardinalityLimit: 50,
        attributeKeys: { included: ["region", "user.*"], excluded: ["user.mail"] },
      },
    });
  });

  it("fills in what the specification says where an aggregation says nothing", () => {
    const streams = parseViews(
      `
views:
  - { selector: {}, stream: { aggregation: { default: } } }
  - { selector: {}, stream: { aggregation: { drop: } } }
  - { selector: {}, stream: { aggregation: { sum: {} } } }
  - { selector: {}, stream: { aggregation: { last_value: {} } } }
  - { selector: {}, stream: { aggregation: { explicit_bucket_histogram: } } }
  - { selector: {}, stream: { aggregation: { explicit_bucket_histogram: { boundaries: [] } } } }
  - { selector: {}, stream: { aggregation: { base2_exponential_bucket_histogram: {} } } }
  - selector: {}
    stream:
      aggregation:
        base2_exponential_bucket_histogram: { max_scale: -10, max_size: 2, record_min_max: false }
  - selector: { instrument_name: null, unit: }
    stream: { name: null, aggregation: null, attribute_keys: , aggregation_cardinality_limit: null }
`,
      "views.yaml",
    ).map(({ stream }) => stream);
    const histogram = { kind: "explicit_bucket_histogram", recordMinMax: true };
    const exponential = { kind: "base2_exponential_bucket_histogram" };
    assert.deepEqual(streams, [
      NOTHING,
      undefined,
      { ...NOTHING, aggregation: { kind: "sum" } },
      { ...NOTHING, aggregation: { kind: "last_value" } },
      {
        ...NOTHING,
        aggregation: {
          ...histogram,
          boundaries: [0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000],
        },
      },
      { ...NOTHING, aggregation: { ...histogram, boundaries: [] } },
      {
        ...NOTHING,
        aggregation: { ...exponential, maxScale: 20, maxSize: 160, recordMinMax: true },
      },
      {
        ...NOTHING,
        aggregation: { ...exponential, maxScale: -10, maxSize: 2, recordMinMax: false },
      },
      NOTHING,
    ]);
  });

  it("finds views in a whole configuration and passes over the rest of it", () => {
    const views = parseViews(
      `
file_format: "1.0"
resource: { attributes: [{ name: service.name, value: shop }] }
tracer_provider: { processors: [] }
meter_provider:
  readers: [{ periodic: { exporter: { otlp_http: {} } } }]
  exemplar_filter: always_on
  views:
    - &all
      selector: { instrument_name: "*" }
      stream: { attribute_keys: { excluded: [secret] } }
    - *all
`,
      "otel.yaml",
    );
    assert.equal(views.length, 2);
    assert.deepEqual(views[0].stream, views[1].stream);
    assert.deepEqual(views[0].stream?.attributeKeys, { included: undefined, excluded: ["secret"] });
  });

  it("has no views in a file without any", () => {
    for (const text of ["", "# nothing\n", "views:\n", "meter_provider:\n", "file_format: '1.0'"]) {
      assert.deepEqual(parseViews(text, "views.yaml"), [], text);
    }
  });

  /** What is wrong with a file: one line a mistake. */
  const mistakes: [name: string, text: string, ...expected: string[]][] = [
    [
      "text that is not YAML",
      "views: [\n  {",
      "views.yaml:2:4: not YAML: Flow map in block collection must be sufficiently indented and end " +
      "with a }",
      "views.yaml:2:4: not YAML: Flow sequence in block collection must be sufficiently indented " +
      "and end with a ]",
    ],
    ["a key twice", "views: []\nviews: []", "views.yaml:2:1: not YAML: Map keys must be unique"],
    ["a file that is a list", "- views", "views.yaml:1:1: the file must be a mapping"],
    [
      "other fields, without file_format",
      "view: []",
      "views.yaml:1:1: view: no such field (Did you mean views?); there is views or meter_provider",
    ],
    [
      "other fields of the provider",
      "meter_provider:\n  view: []",
      "views.yaml:2:3: meter_provider.view: no such field (Did you mean views?); there is readers, " +
      "views, exemplar_filter or meter_configurator/development",
    ],
    [
      "views in two places",
      "views: []\nmeter_provider: { views: [] }",
      "views.yaml:2:26: meter_provider.views: there are views at the top of the file already: " +
      "keep one of both",
    ],
    ["views that are no list", "views: {}", "views.yaml:1:8: views: must be a list, is a mapping"],
    [
      "a view that is no mapping",
      "views: [text]",
      "views.yaml:1:9: views[0] must be a mapping with selector or stream",
      "views.yaml:1:9: views[0]: has no selector; {} stands for everything",
      "views.yaml:1:9: views[0]: has no stream; {} stands for everything",
    ],
    [
      "a view of half the fields",
      "views:\n  - selector:\n      instrument_name: a",
      "views.yaml:2:5: views[0]: has no stream; {} stands for everything",
    ],
    [
      "unknown fields of a selector",
      "views: [{ selector: { name: a }, stream: {} }]",
      "views.yaml:1:23: views[0].selector.name: no such field; there is instrument_name, " +
      "instrument_type, unit, meter_name, meter_version or meter_schema_url",
    ],
    [
      "an unknown type of instrument",
      "views:\n  - selector: { instrument_type: Counter }\n    stream: {}",
      'views.yaml:2:34: views[0].selector.instrument_type: "Counter" is none of counter, gauge, ' +
      "histogram, observable_counter, observable_gauge, observable_up_down_counter or " +
      "up_down_counter (Did you mean counter?)",
    ],
    [
      "numbers and collections for texts",
      "views: [{ selector: { meter_version: 1.0, unit: [s] }, stream: { description: true } }]",
      "views.yaml:1:49: views[0].selector.unit: must be a text, is a list",
      "views.yaml:1:38: views[0].selector.meter_version: must be a text, is 1.0: put it in quotes",
      "views.yaml:1:79: views[0].stream.description: must be a text, is true: put it in quotes",
    ],
    [
      "variables",
      "views: [{ selector: { unit: '${UNIT}' }, stream: {} }]",
      "views.yaml:1:29: views[0].selector.unit: variables are not filled in here: write the value " +
      "itself",
    ],
    [
      "a name without one instrument",
      "views:\n- { selector: { instrument_name: 'a*' }, stream: { name: b } }\n" +
      "- { selector: {}, stream: { name: b } }",
      "views.yaml:2:3: views[0]: a stream with a name must be of one instrument: give " +
      "selector.instrument_name, without * or ?",
      "views.yaml:3:3: views[1]: a stream with a name must be of one instrument: give " +
      "selector.instrument_name, without * or ?",
    ],
    [
      "an empty name",
      "views: [{ selector: { instrument_name: a }, stream: { name: '' } }]",
      "views.yaml:1:61: views[0].stream.name: must not be empty",
    ],
    [
      "several aggregations",
      "views: [{ selector: {}, stream: { aggregation: { sum: {}, drop: {} } } }]",
      "views.yaml:1:48: views[0].stream.aggregation: must be one of default, drop, sum, last_value, " +
      "explicit_bucket_histogram or base2_exponential_bucket_histogram",
    ],
    [
      "no aggregation, and an unknown one",
      "views:\n- { selector: {}, stream: { aggregation: {} } }\n" +
      "- { selector: {}, stream: { aggregation: { max: } } }",
      "views.yaml:2:42: views[0].stream.aggregation: must be one of default, drop, sum, last_value, " +
      "explicit_bucket_histogram or base2_exponential_bucket_histogram",
      "views.yaml:3:44: views[1].stream.aggregation.max: no such field; there is default, drop, sum, " +
      "last_value, explicit_bucket_histogram or base2_exponential_bucket_histogram",
    ],
    [
      "boundaries that do not increase or are no numbers",
      "views: [{ selector: {}, stream: { aggregation: { explicit_bucket_histogram: {\n" +
      "  boundaries: [1, 1, .inf, x, 2],\n  record_min_max: 1 } } } }]",
      "views.yaml:3:19: views[0].stream.aggregation.explicit_bucket_histogram.record_min_max: must " +
      "be true or false, is 1",
      "views.yaml:2:19: views[0].stream.aggregation.explicit_bucket_histogram.boundaries[1]: 1 is " +
      "not above the one before it, 1: boundaries increase",
      "views.yaml:2:22: views[0].stream.aggregation.explicit_bucket_histogram.boundaries[2]: must " +
      "be a finite number, is .inf",
      "views.yaml:2:28: views[0].stream.aggregation.explicit_bucket_histogram.boundaries[3]: must " +
      'be a finite number, is "x"',
    ],
    [
      "scales, sizes and limits out of range",
      "views:\n- selector: {}\n  stream:\n    aggregation_cardinality_limit: 0\n" +
      "    aggregation:\n      base2_exponential_bucket_histogram:\n" +
      "        max_scale: 21\n        max_size: 1.5",
      "views.yaml:4:36: views[0].stream.aggregation_cardinality_limit: must be an integer from 1 to " +
      "2147483647, is 0",
      "views.yaml:7:20: views[0].stream.aggregation.base2_exponential_bucket_histogram.max_scale: " +
      "must be an integer from -10 to 20, is 21",
      "views.yaml:8:19: views[0].stream.aggregation.base2_exponential_bucket_histogram.max_size: " +
      "must be an integer from 2 to 16384, is 1.5",
    ],
    [
      "lists of keys that are empty or hold no texts",
      "views: [{ selector: {}, stream: { attribute_keys: { included: [], excluded: [1, ] } } }]",
      "views.yaml:1:63: views[0].stream.attribute_keys.included: must not be empty; to keep no " +
      'attribute, say excluded: ["*"]',
      "views.yaml:1:78: views[0].stream.attribute_keys.excluded[0]: must be a text, is 1: put it in " +
      "quotes",
    ],
    [
      "a list that contains itself",
      "views: &all [*all]",
      "views.yaml:1:13: views[0] must be a mapping with selector or stream",
      "views.yaml:1:13: views[0]: has no selector; {} stands for everything",
      "views.yaml:1:13: views[0]: has no stream; {} stands for everything",
    ],
  ];
  for (const [name, text, ...expected] of mistakes) {
    it(`says what is wrong: ${name}`, () => {
      assert.throws(() => parseViews(text, "views.yaml"), (error: unknown) => {
        assert.ok(error instanceof Error);
        assert.deepEqual(error.message.split("\n"), expected);
        return true;
      });
    });
  }
});
