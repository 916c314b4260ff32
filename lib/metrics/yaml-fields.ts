/**
 * Reading a configuration file whose mistakes are told with file, line and column, all of them at
 * once.
 *
 * @module
 */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
} from "yaml";
import { didYouMean } from "../similar.ts";

/** The value of a field; null where the file says null or nothing. */
export type Value = Node | null;

/** A field that was found. */
export interface Field {
  readonly value: Value;
  /** Where it is, as in `views[0].selector.unit`. */
  readonly name: string;
  /** For what can only be said about the key. */
  readonly key: Node;
}

/** A configuration file, read field by field. What is wrong is collected in `problems`. */
export class ConfigFile {
  /** One line each: `FILE:LINE:COLUMN: what is wrong`. */
  readonly problems: string[] = [];
  /** The whole of it; null where it is empty or not YAML. */
  readonly root: Value;

  /** What people call it. */
  readonly path: string;
  private readonly lines = new LineCounter();
  private readonly document: Document;

  /**
   * @param text What the file says.
   * @param path What people call it.
   */
  constructor(text: string, path: string) {
    this.path = path;
    this.document = parseDocument(text, { lineCounter: this.lines, prettyErrors: false });
    for (const error of this.document.errors) {
      this.problems.push(`${this.placeAt(error.pos[0])}: not YAML: ${error.message}`);
    }
    this.root = this.problems.length > 0 ? null : this.valueOf(this.document.contents);
  }

  /** `FILE:LINE:COLUMN` of a value. */
  placeOf(value: Value): string {
    return this.placeAt(value?.range?.[0] ?? 0);
  }

  /** Notes what is wrong with a field. */
  complain(field: Field, what: string): void {
    this.problems.push(`${this.placeOf(field.value ?? field.key)}: ${field.name}: ${what}`);
  }

  /**
   * The fields of a mapping by their names; no fields where it is none, which is wrong.
   *
   * @param prefix What the fields' names start with.
   * @param allowed The names there are; undefined for any.
   */
  fields(
    value: Value,
    name: string,
    key: Node | null,
    allowed: readonly string[] | undefined,
  ): Map<string, Field> {
    const found = new Map<string, Field>();
    if (!isMap(value)) {
      const place = this.placeOf(value ?? key);
      const wanted = allowed === undefined ? "a mapping" : `a mapping with ${listOf(allowed)}`;
      this.problems.push(`${place}: ${name === "" ? "the file" : name} must be ${wanted}`);
      return found;
    }
    for (const pair of value.items) {
      const node = pair.key as Node;
      const fieldName = isScalar(node) ? String(node.value) : String(node);
      const field = {
        value: this.valueOf(pair.value as Value),
        name: name === "" ? fieldName : `${name}.${fieldName}`,
        key: node,
      };
      if (allowed === undefined || allowed.includes(fieldName)) found.set(fieldName, field);
      else {
        const place = this.placeOf(node);
        const hint = didYouMean(fieldName, allowed);
        this.problems.push(
          `${place}: ${field.name}: no such field${hint}; there is ${listOf(allowed)}`,
        );
      }
    }
    return found;
  }

  /** The entries of a list; none where it is no list, which is wrong. */
  entries(field: Field): Field[] {
    if (!isSeq(field.value)) {
      this.complain(field, `must be a list, is ${this.shown(field)}`);
      return [];
    }
    return field.value.items.map((item, i) => ({
      value: this.valueOf(item as Value),
      name: `${field.name}[${i}]`,
      key: field.key,
    }));
  }

  /** A text; undefined where the field is missing, null or wrong. */
  text(field: Field | undefined): string | undefined {
    const value = this.scalar(field);
    if (field === undefined || value === undefined) return undefined;
    if (typeof value !== "string") {
      const advice = isScalar(field.value) ? ": put it in quotes" : "";
      this.complain(field, `must be a text, is ${this.shown(field)}${advice}`);
      return undefined;
    }
    if (value.includes("${")) {
      this.complain(field, "variables are not filled in here: write the value itself");
      return undefined;
    }
    return value;
  }

  /** One of several words; undefined where the field is missing, null or wrong. */
  word(field: Field | undefined, allowed: readonly string[]): string | undefined {
    const value = this.scalar(field);
    if (field === undefined || value === undefined) return undefined;
    if (typeof value === "string" && allowed.includes(value)) return value;
    const hint = didYouMean(String(value), allowed);
    this.complain(field, `${this.shown(field)} is none of ${listOf(allowed)}${hint}`);
    return undefined;
  }

  /** An integer; undefined where the field is missing, null or wrong. */
  integer(field: Field | undefined, first: number, last: number): number | undefined {
    const value = this.scalar(field);
    if (field === undefined || value === undefined) return undefined;
    const isInteger = typeof value === "number" && Number.isInteger(value);
    if (isInteger && value >= first && value <= last) return value;
    this.complain(field, `must be an integer from ${first} to ${last}, is ${this.shown(field)}`);
    return undefined;
  }

  /** A finite number; undefined where it is something else, which is wrong. */
  number(field: Field): number | undefined {
    const value = this.scalar(field);
    if (typeof value === "number" && Number.isFinite(value)) return value;
    this.complain(field, `must be a finite number, is ${this.shown(field)}`);
    return undefined;
  }

  /** True or false; undefined where the field is missing, null or wrong. */
  boolean(field: Field | undefined): boolean | undefined {
    const value = this.scalar(field);
    if (field === undefined || value === undefined) return undefined;
    if (typeof value === "boolean") return value;
    this.complain(field, `must be true or false, is ${this.shown(field)}`);
    return undefined;
  }

  /** A text, a finite number, true or false; undefined where it is something else, which is wrong. */
  anyScalar(field: Field): string | number | boolean | undefined {
    const value = this.scalar(field);
    if (typeof value === "string") return this.text(field);
    if (typeof value === "boolean") return value;
    if (typeof value === "number" && Number.isFinite(value)) return value;
    this.complain(field, `must be a text, a number, true or false, is ${this.shown(field)}`);
    return undefined;
  }

  /** A scalar as text; one that would be another text than is written (`1.10`) is wrong. */
  scalarText(field: Field): string | undefined {
    const value = this.anyScalar(field);
    if (value === undefined || typeof value === "string") return value;
    const text = String(value);
    if (isScalar(field.value) && field.value.source === text) return text;
    this.complain(field, `${this.shown(field)} would be ${text}: put it in quotes`);
    return undefined;
  }

  /** Whether a field holds a list. */
  isList({ value }: Field): boolean {
    return isSeq(value);
  }

  /** Undefined where the field is missing or null; a collection comes as itself. */
  private scalar(field: Field | undefined): unknown {
    const value = field?.value ?? undefined;
    if (!isScalar(value)) return value;
    return value.value ?? undefined;
  }

  /** A value as messages show it. */
  shown({ value }: Field): string {
    if (isMap(value)) return "a mapping";
    if (isSeq(value)) return "a list";
    if (!isScalar(value) || value.value === null) return "nothing";
    return typeof value.value === "string" ? JSON.stringify(value.value) : String(value.source);
  }

  /** A node, or what an alias stands for; null for a null. */
  private valueOf(node: Value): Value {
    const value = isAlias(node) ? node.resolve(this.document) : node;
    if (isAlias(node) && value === undefined) {
      this.problems.push(`${this.placeOf(node)}: there is no anchor &${node.source} before this`);
      return null;
    }
    return value === undefined || (isScalar(value) && value.value === null) ? null : value;
  }

  private placeAt(offset: number): string {
    // The counter has no lines where the file is empty.
    const { line, col } = offset === 0 ? { line: 1, col: 1 } : this.lines.linePos(offset);
    return `${this.path}:${line}:${col}`;
  }
}

/** `a, b or c`. */
export function listOf(words: readonly string[]): string {
  if (words.length < 2) return words.join();
  return `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}
