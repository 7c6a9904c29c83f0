import { bucketOf, meanIn } from "../core/buckets.ts";
import type { EventName } from "./catalogue.ts";
import { deliver, type Delivered } from "./delivered.ts";
import { type EventSchema, type FieldValues, OTHER } from "./schema.ts";

/** Label sets that one event type keeps apart between two drains; past it, open labels are folded under OTHER. */
export const MAX_SERIES = 1024;

/** What was added up for one set of label values and one histogram bucket since the last drain. */
interface Group {
  readonly labelValues: readonly string[];
  readonly bucket: number;
  count: number;
  /** In the order of the schema's sums. */
  readonly sums: number[];
  /** Sum of the histogram field's values. */
  total: number;
}

/** A node of the tree of label values, one level per label; the leaves hold the groups, by bucket. */
interface Node {
  readonly labelValues: readonly string[];
  readonly children: Map<string, Node>;
  readonly groups: (Group | undefined)[];
}

/**
 * Adds up the events of one type, exactly, per label values and histogram bucket. `add` is the hot path of the whole
 * bus: once a label set has been seen it allocates nothing, and the set of the event before is recognized by comparing
 * strings.
 */
export class Fold {
  readonly #schema: EventSchema;
  #root = newNode([]);
  #last = this.#root;
  #leaves = 0;
  #dirty: Group[] = [];

  constructor(schema: EventSchema) {
    this.#schema = schema;
  }

  /** How many groups wait for a drain. */
  get size(): number {
    return this.#dirty.length;
  }

  /** Counts one event. Keeps nothing of `fields` but new label values. */
  add(fields: FieldValues): void {
    const schema = this.#schema;
    const leaf = this.#isLast(fields) ? this.#last : this.#leafOf(fields);
    let value = 0;
    let bucket = 0;
    if (schema.histogram !== undefined) {
      value = numberIn(fields, schema.histogram);
      bucket = bucketOf(value, schema.bounds);
    }
    const group = leaf.groups[bucket] ?? this.#newGroup(leaf, bucket);
    if (group.count === 0) this.#dirty.push(group);
    group.count++;
    group.total += value;
    let index = 0;
    for (const name of schema.sums) {
      group.sums[index] = (group.sums[index] ?? 0) + numberIn(fields, name);
      index++;
    }
  }

  /** Takes what was added up, as groups, and starts again from zero. */
  drain(timeMs: number): readonly Delivered<EventName>[] {
    const groups = this.#dirty.map((group) => this.#deliver(group, timeMs));
    for (const group of this.#dirty) {
      group.count = 0;
      group.total = 0;
      group.sums.fill(0);
    }
    this.#dirty = [];
    if (this.#leaves >= MAX_SERIES) {
      this.#root = newNode([]);
      this.#last = this.#root;
      this.#leaves = 0;
    }
    return groups;
  }

  #isLast(fields: FieldValues): boolean {
    const values = this.#last.labelValues;
    let index = 0;
    for (const label of this.#schema.labels) {
      if (fields[label] !== values[index]) return false;
      index++;
    }
    return true;
  }

  #leafOf(fields: FieldValues): Node {
    let node = this.#root;
    for (const label of this.#schema.labels) {
      const child = node.children.get(String(fields[label]));
      if (child === undefined) return this.#last = this.#grow(fields);
      node = child;
    }
    return this.#last = node;
  }

  #grow(fields: FieldValues): Node {
    const full = this.#leaves >= MAX_SERIES;
    let node = this.#root;
    for (const label of this.#schema.labels) {
      const value = full && this.#schema.openLabels.has(label) ? OTHER : String(fields[label]);
      let child = node.children.get(value);
      if (child === undefined) {
        child = newNode([...node.labelValues, value]);
        node.children.set(value, child);
      }
      node = child;
    }
    this.#leaves++;
    return node;
  }

  #newGroup(leaf: Node, bucket: number): Group {
    const group: Group = {
      labelValues: leaf.labelValues,
      bucket,
      count: 0,
      sums: this.#schema.sums.map(() => 0),
      total: 0,
    };
    leaf.groups[bucket] = group;
    return group;
  }

  #deliver(group: Group, timeMs: number): Delivered<EventName> {
    const { name, labels, sums, histogram, bounds } = this.#schema;
    const fields: Record<string, string | number> = {};
    for (const [index, label] of labels.entries()) fields[label] = group.labelValues[index] ?? "";
    for (const [index, sum] of sums.entries()) fields[sum] = group.sums[index] ?? 0;
    if (histogram !== undefined) fields[histogram] = meanIn(group.bucket, bounds, group);
    return deliver({ name, timeMs, count: group.count, folded: true }, fields);
  }
}

function newNode(labelValues: readonly string[]): Node {
  return { labelValues, children: new Map(), groups: [] };
}

function numberIn(fields: FieldValues, name: string): number {
  const value = fields[name];
  return typeof value === "number" ? value : 0;
}
