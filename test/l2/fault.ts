import { VitrineError } from "../../src/core/errors.ts";
import type { ObjectKey, ObjectMeta } from "../../src/core/object.ts";
import type { L2Adapter, L2Load, ListPage, ListQuery, StoreSource, TierUsage } from "../../src/l2/adapter.ts";
import { Calls } from "../../src/l2/calls.ts";
/** An operation that faults can be injected into. */
export type FaultOperation = "lookup" | "load" | "store" | "delete" | "clear" | "list" | "usage";

/** A call, as a rule's predicate sees it. */
export interface FaultCall {
  readonly operation: FaultOperation;
  /** Undefined if the call is not about a single object. */
  readonly key: ObjectKey | undefined;
}

/**
 * An injected fault.
 * - fail: the call throws before it reaches the adapter.
 * - delay: the call waits for `gate` first (a rejected gate fails it).
 * - break: a load's bytes, or a store's source, end with an error after `afterBytes`, if they are longer. Other calls
 *   are not affected.
 * - corrupt: one bit of a load's first chunk is flipped. This breaks the adapter's contract, to test the code above it.
 */
export type Fault =
  | { readonly kind: "fail"; readonly error?: Error }
  | { readonly kind: "delay"; readonly gate: Promise<unknown> }
  | { readonly kind: "break"; readonly afterBytes: number; readonly error?: Error }
  | { readonly kind: "corrupt" };

/** A fault and the conditions for it. It applies to a call that meets all given conditions. */
export interface FaultRule {
  readonly fault: Fault;
  /** Default: every operation. */
  readonly operations?: readonly FaultOperation[];
  /** Default: every call. */
  readonly when?: (call: FaultCall) => boolean;
  /** Probability from 0 to 1, drawn from the adapter's seed (default 1). */
  readonly rate?: number;
  /** Maximum number of hits (default: unlimited). */
  readonly times?: number;
}

/**
 * Injects faults into any adapter, by rules that can be added and removed at any time. Without rules it changes
 * nothing.
 */
export class FaultAdapter implements L2Adapter {
  readonly name: string;
  readonly #calls: Calls;
  readonly #inner: L2Adapter;
  readonly #rules: Map<FaultRule, number> = new Map();
  #random: number;

  /** The same seed and the same calls give the same faults. */
  constructor(inner: L2Adapter, options: { readonly seed?: number } = {}) {
    this.name = inner.name;
    this.#calls = new Calls(inner.name);
    this.#inner = inner;
    this.#random = options.seed ?? 1;
  }

  /**
   * Adds a rule. The returned function removes it and returns the number of its hits. Rules apply in the order in which
   * they were added.
   */
  inject(rule: FaultRule): () => number {
    this.#rules.set(rule, 0);
    return () => {
      const hits = this.#rules.get(rule) ?? 0;
      this.#rules.delete(rule);
      return hits;
    };
  }

  async lookup(key: ObjectKey): Promise<ObjectMeta | undefined> {
    return await this.#run({ operation: "lookup", key }, () => this.#inner.lookup(key));
  }

  async has(keys: readonly ObjectKey[], onProgress?: () => void): Promise<readonly boolean[]> {
    return await this.#run({ operation: "lookup", key: undefined }, () => this.#inner.has(keys, onProgress));
  }

  async load(key: ObjectKey, range?: { readonly start: number; readonly end: number }): Promise<L2Load | undefined> {
    return await this.#run({ operation: "load", key }, async (faults) => {
      const load = await this.#inner.load(key, range);
      return load === undefined ? undefined : { meta: load.meta, chunks: faults.reduce(spoil, load.chunks) };
    });
  }

  async store(key: ObjectKey, source: StoreSource): Promise<ObjectMeta> {
    return await this.#run({ operation: "store", key }, (faults) => {
      const breaks = faults.filter((fault) => fault.kind === "break");
      if (breaks.length === 0) return this.#inner.store(key, source);
      return this.#inner.store(key, {
        ...source,
        chunks: breaks.reduce(spoil, source.chunks),
        meta: () => source.meta(),
        assertWanted: (replaced) => source.assertWanted?.(replaced),
      });
    });
  }

  async delete(key: ObjectKey): Promise<boolean> {
    return await this.#run({ operation: "delete", key }, () => this.#inner.delete(key));
  }

  async clear(tenant?: string, onInvisible?: () => void): Promise<number> {
    return await this.#run({ operation: "clear", key: undefined }, () => this.#inner.clear(tenant, onInvisible));
  }

  async list(query: ListQuery): Promise<ListPage> {
    return await this.#run({ operation: "list", key: undefined }, () => this.#inner.list(query));
  }

  async usage(): Promise<TierUsage | undefined> {
    return await this.#run({ operation: "usage", key: undefined }, () => this.#inner.usage());
  }

  /** Waits for running calls, including delayed ones. */
  async close(): Promise<void> {
    await this.#calls.close();
    await this.#inner.close();
  }

  async #run<T>(call: FaultCall, work: (faults: readonly Fault[]) => Promise<T>): Promise<T> {
    const asItIs = (): boolean => true;
    return await this.#calls.run(
      `call tier: ${call.operation}`,
      async () => await work(await this.#apply(call)),
      asItIs,
    );
  }

  /** Waits and throws according to the rules; returns all faults that apply to the call. */
  async #apply(call: FaultCall): Promise<readonly Fault[]> {
    const faults = [...this.#rules.keys()].filter((rule) => this.#hits(rule, call)).map((rule) => rule.fault);
    for (const fault of faults) {
      if (fault.kind === "delay") await fault.gate;
      if (fault.kind === "fail") throw fault.error ?? injected(call.operation);
    }
    return faults;
  }

  #hits(rule: FaultRule, call: FaultCall): boolean {
    const hits = this.#rules.get(rule) ?? 0;
    if (hits >= (rule.times ?? Number.POSITIVE_INFINITY)) return false;
    if (rule.operations !== undefined && !rule.operations.includes(call.operation)) return false;
    if (rule.when !== undefined && !rule.when(call)) return false;
    if (rule.rate !== undefined && this.#draw() >= rule.rate) return false;
    this.#rules.set(rule, hits + 1);
    return true;
  }

  /** Returns the next number in [0, 1); mulberry32 (Tommy Ettinger, public domain). */
  #draw(): number {
    this.#random = (this.#random + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#random ^ (this.#random >>> 15), 1 | this.#random);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }
}

function injected(operation: string): VitrineError {
  return new VitrineError("tier_failed", `inject fault: ${operation}`);
}

function spoil(chunks: AsyncIterable<Uint8Array>, fault: Fault): AsyncIterable<Uint8Array> {
  if (fault.kind === "break") return breakOff(chunks, fault.afterBytes, fault.error ?? injected("break"));
  return fault.kind === "corrupt" ? flipBit(chunks) : chunks;
}

async function* breakOff(
  chunks: AsyncIterable<Uint8Array>,
  afterBytes: number,
  error: Error,
): AsyncGenerator<Uint8Array, void, void> {
  let left = afterBytes;
  for await (const chunk of chunks) {
    if (chunk.length > left) {
      if (left > 0) yield chunk.subarray(0, left);
      throw error;
    }
    left -= chunk.length;
    yield chunk;
  }
}

async function* flipBit(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  let flipped = false;
  for await (const chunk of chunks) {
    const [first] = chunk;
    if (flipped || first === undefined) {
      yield chunk;
      continue;
    }
    const copy = chunk.slice();
    copy[0] = first ^ 1;
    flipped = true;
    yield copy;
  }
}
