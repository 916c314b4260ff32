/**
 * Where the services of a map are drawn: callers left of whom they call, in as few crossings as a few
 * sweeps find.
 *
 * @module
 */

/** Who calls whom. */
export interface Edge {
  readonly from: string;
  readonly to: string;
}

/** A service on the map: its column and its place in it, from 0. */
export interface Place {
  readonly name: string;
  readonly layer: number;
  readonly row: number;
}

/** A laid-out map. */
export interface ServiceMap {
  readonly places: readonly Place[];
  readonly layers: number;
  /** Of the longest column. */
  readonly rows: number;
}

/** Edges without those that close a circle, found by walking depth first. */
function acyclic(names: readonly string[], edges: readonly Edge[]): Edge[] {
  const next = new Map<string, Edge[]>(names.map((name) => [name, []]));
  const called = new Set<string>();
  for (const edge of edges) {
    if (edge.from === edge.to) continue;
    next.get(edge.from)?.push(edge);
    called.add(edge.to);
  }
  const state = new Map<string, "open" | "done">();
  const kept: Edge[] = [];
  const visit = (name: string): void => {
    state.set(name, "open");
    for (const edge of next.get(name)!) {
      if (state.get(edge.to) === "open") continue;
      kept.push(edge);
      if (!state.has(edge.to)) visit(edge.to);
    }
    state.set(name, "done");
  };
  // Those nobody calls first: a circle is then cut where it was entered.
  for (const name of names) if (!called.has(name) && !state.has(name)) visit(name);
  for (const name of names) if (!state.has(name)) visit(name);
  return kept;
}

/** Lays services out in layers: each right of everything that calls it. */
export function layOut(services: readonly string[], calls: readonly Edge[]): ServiceMap {
  const names = [...new Set(services)].sort();
  const known = new Set(names);
  const edges = acyclic(names, calls.filter(({ from, to }) => known.has(from) && known.has(to)));
  const layer = new Map(names.map((name) => [name, 0]));
  // Longest path: as many rounds as there can be layers.
  for (let round = 0, moved = true; moved && round < names.length; round++) {
    moved = false;
    for (const { from, to } of edges) {
      if (layer.get(to)! <= layer.get(from)!) {
        layer.set(to, layer.get(from)! + 1);
        moved = true;
      }
    }
  }
  const columns: string[][] = [];
  for (const name of names) (columns[layer.get(name)!] ??= []).push(name);

  const row = new Map<string, number>();
  const number = (): void => {
    for (const column of columns) {
      // Centred, so that short columns stand beside the middle of long ones.
      column.forEach((name, i) => row.set(name, i - (column.length - 1) / 2));
    }
  };
  number();
  const sweep = (column: string[], side: "from" | "to"): void => {
    const other = side === "from" ? "to" : "from";
    const centre = new Map(column.map((name) => {
      const rows = edges.filter((edge) => edge[other] === name).map((edge) => row.get(edge[side])!);
      const mean = rows.reduce((sum, value) => sum + value, 0) / rows.length;
      return [name, rows.length === 0 ? row.get(name)! : mean];
    }));
    column.sort((a, b) => centre.get(a)! - centre.get(b)!);
  };
  for (let round = 0; round < 4; round++) {
    for (const column of columns) {
      sweep(column, "from");
      number();
    }
    for (const column of columns.toReversed()) {
      sweep(column, "to");
      number();
    }
  }
  const rows = Math.max(0, ...columns.map(({ length }) => length));
  const places = columns.flatMap((column, at) =>
    column.map((name) => ({ name, layer: at, row: row.get(name)! + (rows - 1) / 2 }))
  );
  return { places, layers: columns.length, rows };
}
