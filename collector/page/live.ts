/**
 * The processes whose files are followed, as they are now, and those that ended meanwhile.
 *
 * @module
 */
import { readLedger } from "../../lib/file/ledger.ts";
import { RING_NAMES } from "../../lib/format/layout.ts";
import { NEXT, NONE, PROCESS, SpanTable } from "../../lib/otlp/spans.ts";
import type { FollowedFile, FollowedProcess } from "../files/follow.ts";
import { nameOf, type ProcessName } from "../files/names.ts";
import { lagMs, lagRecords } from "../health/lag.ts";
import { lives, type Pipeline } from "../pipeline/pipeline.ts";
import type { Live, LiveFile, LiveProcess, LiveRing } from "./live-types.ts";
import type { ResourceIds } from "./resource-ids.ts";

/** Looks at the processes. */
export interface LiveView {
  /** To be called with each file before it is closed. */
  noteFile(file: FollowedFile): void;
  look(): Promise<Live>;
}

interface Ended {
  readonly name: ProcessName;
  crashed: boolean;
  files: LiveFile[];
}

/** Processes that ended are remembered, the last so many. */
const MAX_ENDED = 200;

/** @param pipeline Once there is one. */
export function createLive(pipeline: () => Pipeline, ids: ResourceIds): LiveView {
  // By process, the one that ended last at the end.
  const ended = new Map<FollowedProcess, Ended>();
  return {
    noteFile(file) {
      const { process } = file;
      if (lives(file) || file.owner === "replaced") return;
      const before = ended.get(process);
      const { name, files, crashed } = before ??
        { name: nameOf(process), files: [], crashed: false };
      ended.delete(process);
      ended.set(process, {
        name,
        crashed: crashed || file.owner === "dead",
        files: [...files, fileOf(file, Date.now())],
      });
      for (const [oldest] of ended) {
        if (ended.size <= MAX_ENDED) break;
        ended.delete(oldest);
      }
    },
    async look() {
      const { files, requests } = pipeline();
      const { table } = requests.assembler;
      const followed = [...files.processes.values()].filter((each) => each.files.length > 0);
      await ids.learn([
        ...followed.filter(({ state }) => state.scopes.firstResource !== null).map(nameOf),
        ...[...ended.values()].map(({ name }) => name),
      ]);
      const now = Date.now();
      const open = countOpen(table);
      const processes = followed
        // It may have been closed while the store was asked.
        .filter((each) => each.files.length > 0)
        .map((process): LiveProcess => {
          const name = nameOf(process);
          return {
            resourceId: ids.of(name),
            ...shown(name),
            alive: process.files.some(lives),
            crashed: !process.files.some(lives) &&
              process.files.some(({ owner }) => owner === "dead"),
            files: [
              ...(ended.get(process)?.files ?? []),
              ...process.files.map((file) => fileOf(file, now)),
            ],
            openSpans: open.get(process.state.index) ?? 0,
          };
        });
      const gone = [...ended].filter(([process]) => process.files.length === 0)
        .map(([, { name, crashed, files }]): LiveProcess => ({
          resourceId: ids.of(name),
          ...shown(name),
          alive: false,
          crashed,
          files,
          openSpans: 0,
        }));
      return { processes: [...processes, ...gone.reverse()] };
    },
  };
}

function shown({ service, pid, runtime, since }: ProcessName) {
  return { service, pid, runtime, since };
}

function countOpen(table: SpanTable): Map<number, number> {
  const counts = new Map<number, number>();
  const { meta } = table;
  for (let index = table.oldest; index !== NONE; index = meta[SpanTable.base(index) + NEXT]) {
    const process = meta[SpanTable.base(index) + PROCESS];
    counts.set(process, (counts.get(process) ?? 0) + 1);
  }
  return counts;
}

function fileOf(file: FollowedFile, now: number): LiveFile {
  return {
    path: file.path,
    rings: file.geometry.rings.map((geometry, ring): LiveRing => {
      const lag = lagMs(file.drain, ring, now) ?? 0;
      if (file.extension === null) {
        const waiting = lagRecords(file.drain, ring);
        const { taken } = file.drain.rings[ring];
        return {
          name: RING_NAMES[ring],
          fill: Math.min(1, waiting / geometry.slots),
          claimed: taken + waiting,
          delivered: taken - file.drain.torn[ring] - file.drain.rejected[ring],
          torn: file.drain.torn[ring],
          refused: {},
          lagMs: lag,
        };
      }
      const { claimed, delivered, pending, refused, torn } = readLedger(file.file, geometry);
      return {
        name: RING_NAMES[ring],
        fill: Math.min(1, pending / geometry.slots),
        claimed,
        delivered,
        torn,
        refused: Object.fromEntries(Object.entries(refused).filter(([, count]) => count > 0)),
        lagMs: lag,
      };
    }),
  };
}
