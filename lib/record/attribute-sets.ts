/**
 * Attribute sets that are known: looked up by their content, encoded once per file.
 *
 * @module
 */
import type { DictionaryWriter } from "../dictionary/write.ts";
import type { AttributeSource } from "./attributes.ts";
import { Shape } from "./shape.ts";
import { aim, aside, endOfPut, NO_KEY, OK, type Place, putKeyValue, wasCut } from "./value.ts";

/** Sets that one instrument remembers; further ones are encoded every time. */
const MAX_SETS = 2000;
/** Attributes of a set that is remembered. */
const MAX_ATTRIBUTES = 128;

/** Texts of attribute sets are remembered with the set. */
const NO_SHAPE = new Shape("");

/** As in attributes.ts. */
const { hasOwnProperty } = Object.prototype;

/** A value that can't change behind our back. */
type Primitive = string | number | boolean;

/** One attribute set, encoded for one file. */
export class AttributeSet {
  /** `attributes` fields as 32-bit words, from a word boundary on. */
  words: Int32Array = new Int32Array(0);
  /** Bytes of them. */
  bytes = 0;
  /** Attributes were cut or left out to fit the slot. */
  isCut = false;
  private readonly keys: readonly string[];
  private readonly values: readonly Primitive[];
  private dictionary: DictionaryWriter | null = null;

  /** @param keys In the order of the object; `values` likewise. */
  constructor(keys: readonly string[], values: readonly Primitive[]) {
    this.keys = keys;
    this.values = values;
  }

  /**
   * Encodes the set for the file of a dictionary, in `room` bytes, with this one-byte tag. False
   * when the dictionary is full.
   */
  bind(dictionary: DictionaryWriter, room: number, tag: number): boolean {
    return this.dictionary === dictionary || this.bindAnew(dictionary, room, tag);
  }

  // Apart, for a function with a closure in it allocates whenever it is called.
  private bindAnew(dictionary: DictionaryWriter, room: number, tag: number): boolean {
    const encoded = aside(() => this.encode(dictionary, room, tag));
    if (encoded) this.dictionary = dictionary;
    return encoded;
  }

  private encode(dictionary: DictionaryWriter, room: number, tag: number): boolean {
    const scratch = new Int32Array((room + 7) >> 2);
    const place: Place = { u8: new Uint8Array(scratch.buffer), i32: scratch };
    aim(place, room, dictionary, Infinity);
    let at = 0;
    let left = 0;
    for (let i = 0; i < this.keys.length; i++) {
      const ref = dictionary.intern(this.keys[i]);
      const result = ref === 0
        ? (dictionary.full ? NO_KEY : -1)
        : putKeyValue(at, tag, ref, this.values[i], true, NO_SHAPE, -1);
      if (result === NO_KEY) return false;
      if (result === OK) at = endOfPut();
      else left++;
    }
    this.bytes = at;
    this.words = scratch.slice(0, (at + 3) >> 2);
    this.isCut = wasCut() || left > 0;
    return true;
  }
}

/** What follows the attributes so far: at first few, which are looked at one by one, then a map. */
interface Node {
  /** The set of the attributes so far, made when it is first asked for. */
  set: AttributeSet | null;
  readonly keys: string[];
  readonly values: Primitive[];
  readonly nodes: Node[];
  /** Index of the one that was taken last. */
  last: number;
  more: Map<string, Map<Primitive, Node>> | null;
}

/** Nodes that are looked at one by one. */
const FEW = 8;

function createNode(): Node {
  return { set: null, keys: [], values: [], nodes: [], last: 0, more: null };
}

/** The attribute sets of one instrument: a tree of keys and values in the order of the objects. */
export class AttributeSets {
  private readonly root = createNode();
  private sets = 0;

  /**
   * The set with the content of `attributes`; null for one that is to be encoded each time: with
   * values that are no primitives, unknown and one too many, or unreadable.
   */
  find(attributes: AttributeSource | undefined): AttributeSet | null {
    let node = this.root;
    try {
      if (attributes !== undefined) {
        for (const key in attributes) {
          if (!hasOwnProperty.call(attributes, key)) continue;
          const value = attributes[key];
          if (value === undefined) continue;
          const { last } = node;
          const next = node.keys[last] === key && node.values[last] === value
            ? node.nodes[last]
            : follow(node, key, value);
          if (next === undefined) return this.add(attributes);
          node = next;
        }
      }
      return node.set ?? this.add(attributes ?? {});
    } catch {
      // A getter or proxy of the caller's threw: the way that copes with these deals with it.
      return null;
    }
  }

  private add(attributes: AttributeSource): AttributeSet | null {
    if (this.sets >= MAX_SETS) return null;
    const keys: string[] = [];
    const values: Primitive[] = [];
    for (const key in attributes) {
      if (!hasOwnProperty.call(attributes, key)) continue;
      const value = attributes[key];
      if (value === undefined) continue;
      if (!isPrimitive(value) || key === "" || keys.length === MAX_ATTRIBUTES) return null;
      keys.push(key);
      values.push(value);
    }
    let node = this.root;
    for (let i = 0; i < keys.length; i++) node = grow(node, keys[i], values[i]);
    // A getter may have given something else this time, which is known.
    if (node.set === null) {
      node.set = new AttributeSet(keys, values);
      this.sets++;
    }
    return node.set;
  }
}

/** NaN is not equal to itself. */
function isPrimitive(value: unknown): value is Primitive {
  return typeof value === "string" || typeof value === "boolean" ||
    (typeof value === "number" && !Number.isNaN(value));
}

/** The node behind one more attribute; undefined when there is none. */
function follow(node: Node, key: string, value: unknown): Node | undefined {
  const { keys, values } = node;
  for (let i = 0; i < keys.length; i++) {
    if (values[i] === value && keys[i] === key) {
      node.last = i;
      return node.nodes[i];
    }
  }
  return node.more?.get(key)?.get(value as Primitive);
}

function grow(node: Node, key: string, value: Primitive): Node {
  const known = follow(node, key, value);
  if (known !== undefined) return known;
  const next = createNode();
  if (node.keys.length < FEW) {
    node.keys.push(key);
    node.values.push(value);
    node.nodes.push(next);
    return next;
  }
  const more = node.more ??= new Map<string, Map<Primitive, Node>>();
  const values = more.get(key);
  if (values === undefined) more.set(key, new Map([[value, next]]));
  else values.set(value, next);
  return next;
}
