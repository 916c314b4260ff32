/**
 * What became of records: of all files, and of each file whose owner lives. Files whose owner is
 * gone have no series of their own, so there are never more of these than there are live files.
 *
 * @module
 */
import { fromBinary } from "@bufbuild/protobuf";
import { basename } from "node:path";
import { readLedger, totalOf } from "../../lib/file/ledger.ts";
import { LOSS_NAMES, LOSS_TRUNCATED, RING_NAMES } from "../../lib/format/layout.ts";
import type { ResourceEntry } from "../../lib/otlp/scopes.ts";
import { ResourceMetricsSchema } from "../../proto/gen/otlp_pb.ts";
import { type Files, lossOf } from "../files/files.ts";
import type { FollowedFile } from "../files/follow.ts";
import { lives } from "../pipeline/pipeline.ts";
import type { Figure, Labels, Sample } from "./figure.ts";
import { lagMs, lagRecords } from "./lag.ts";

type RingFigure = readonly [
  name: string,
  help: string,
  ofFile: (file: FollowedFile, ring: number) => number,
  ofClosed: (files: Files, ring: number) => number,
];

const readable = (taken: number, torn: number, bad: number): number => taken - torn - bad;

/** claimed = taken + torn + unreadable + lag. */
const COUNTED: readonly RingFigure[] = [
  [
    "records.claimed",
    "Records that writers claimed since the file was opened here",
    ({ drain }, ring) => drain.rings[ring].taken + lagRecords(drain, ring),
    ({ ledger }, ring) => ledger.rings[ring].taken,
  ],
  [
    "records.taken",
    "Records taken out of rings and understood",
    ({ drain }, ring) => readable(drain.rings[ring].taken, drain.torn[ring], drain.rejected[ring]),
    ({ ledger: { rings } }, ring) =>
      readable(rings[ring].taken, rings[ring].torn, rings[ring].unreadable),
  ],
  [
    "records.torn",
    "Records that their owner claimed and did not live to publish",
    ({ drain }, ring) => drain.torn[ring],
    ({ ledger }, ring) => ledger.rings[ring].torn,
  ],
  [
    "records.unreadable",
    "Records that could not be read",
    ({ drain }, ring) => drain.rejected[ring],
    ({ ledger }, ring) => ledger.rings[ring].unreadable,
  ],
  [
    "records.truncated",
    "Records that writers cut to fit their slot, over the life of each file",
    (file, ring) => lossOf(file, ring, LOSS_TRUNCATED),
    ({ ledger }, ring) => ledger.losses[ring][LOSS_TRUNCATED],
  ],
];

const REFUSED = "Records that writers refused, by reason, over the life of each file";
const REASONS = LOSS_NAMES.map((name, reason) => ({ name, reason }))
  .filter(({ reason }) => reason !== LOSS_TRUNCATED);

/** The figures of records. */
export function recordFigures(files: Files): Figure[] {
  const open = (): FollowedFile[] => [...files.processes.values()].flatMap((each) => each.files);
  const sum = (of: (file: FollowedFile) => number): number =>
    open().reduce((total, file) => total + of(file), 0);
  const perRing = (read: (file: FollowedFile, ring: number) => number | null): Sample[] =>
    live(open()).flatMap(([file, labels]) =>
      RING_NAMES.flatMap((name, ring): Sample[] => {
        const value = read(file, ring);
        return value === null ? [] : [[{ ...labels, ring: name }, value]];
      })
    );
  const unit = "{record}";
  return [
    ...COUNTED.flatMap(([name, help, ofFile, ofClosed]): Figure[] => [
      {
        kind: "counter",
        name: `otlp_mmap.${name}`,
        unit,
        help,
        read: () =>
          RING_NAMES.map((ringName, ring): Sample => [
            { ring: ringName },
            ofClosed(files, ring) + sum((file) => ofFile(file, ring)),
          ]),
      },
      {
        kind: "counter",
        name: `otlp_mmap.file.${name}`,
        unit,
        help: `${help}; of each file whose owner lives`,
        read: () => perRing(ofFile),
      },
    ]),
    {
      kind: "counter",
      name: "otlp_mmap.records.refused",
      unit,
      help: REFUSED,
      read: () =>
        RING_NAMES.flatMap((ringName, ring) =>
          REASONS.map(({ name, reason }): Sample => [
            { ring: ringName, reason: name },
            files.ledger.losses[ring][reason] + sum((file) => lossOf(file, ring, reason)),
          ])
        ),
    },
    {
      kind: "counter",
      name: "otlp_mmap.file.records.refused",
      unit,
      help: `${REFUSED}, where there are any; of each file whose owner lives`,
      read: () =>
        REASONS.flatMap(({ name, reason }) =>
          perRing((file, ring) => lossOf(file, ring, reason) || null)
            .map(([labels, value]): Sample => [{ ...labels, reason: name }, value])
        ),
    },
    {
      kind: "counter",
      name: "otlp_mmap.records.forgotten",
      unit,
      help:
        "Records that were given back and that only a damaged journal had: lost, but for what was " +
        "sent of them; their files count them as delivered",
      read: () =>
        RING_NAMES.map((name, ring): Sample => [{ ring: name }, files.ledger.forgotten[ring]]),
    },
    {
      kind: "gauge",
      name: "otlp_mmap.file.ledger",
      unit,
      help: "Records since the file was made: offered = claimed + refused, claimed = delivered + " +
        "torn + rejected + discarded + uncounted + pending; of each file whose owner lives",
      read: () =>
        live(open()).flatMap(([file, labels]) => {
          if (file.extension === null) return [];
          return file.geometry.rings.flatMap((geometry): Sample[] => {
            // With a living owner nothing was lost with the power.
            const { ring, refused, rejected, truncated: _, unknown: _none, ...numbers } =
              readLedger(
                file.file,
                geometry,
              );
            const entries = { ...numbers, refused: totalOf(refused), rejected: totalOf(rejected) };
            return Object.entries(entries)
              .map(([entry, value]): Sample => [{ ...labels, ring, entry }, value]);
          });
        }),
    },
    {
      kind: "gauge",
      name: "otlp_mmap.lag",
      unit,
      help: "Records that are claimed and not taken",
      read: () =>
        RING_NAMES.map((name, ring): Sample => [
          { ring: name },
          sum(({ drain }) => lagRecords(drain, ring)),
        ]),
    },
    {
      kind: "gauge",
      name: "otlp_mmap.file.lag",
      unit,
      help: "Records that are claimed and not taken; of each file whose owner lives",
      read: () => perRing(({ drain }, ring) => lagRecords(drain, ring)),
    },
    {
      kind: "gauge",
      name: "otlp_mmap.file.lag.time",
      unit: "ms",
      help: "Age of the first record that is claimed and not taken, by the time in it: 0 where " +
        "there is none, not said where it has no time or is not published yet",
      read: () => {
        const now = Date.now();
        return perRing(({ drain }, ring) => lagMs(drain, ring, now));
      },
    },
  ];
}

/** Files whose owner lives, with labels that no other one has. */
function live(files: readonly FollowedFile[]): [FollowedFile, Labels][] {
  const living = files.filter(lives);
  const uses = new Map<string, number>();
  for (const { path } of living) uses.set(basename(path), (uses.get(basename(path)) ?? 0) + 1);
  return living.map((file) => {
    const name = basename(file.path);
    const { scopes } = file.process.state;
    const resource = scopes.firstResource;
    const service = resource === null ? "" : serviceOf(resource);
    const labels = { file: uses.get(name) === 1 ? name : file.path };
    return [file, service === "" ? labels : { ...labels, service }];
  });
}

const services = new WeakMap<ResourceEntry, string>();

/** Its `service.name`, decoded once. */
function serviceOf(entry: ResourceEntry): string {
  let service = services.get(entry);
  if (service === undefined) {
    const { resource } = fromBinary(ResourceMetricsSchema, entry.head);
    const value = resource?.attributes.find(({ key }) => key === "service.name")?.value?.value;
    service = value?.case === "stringValue" ? value.value : "";
    services.set(entry, service);
  }
  return service;
}
