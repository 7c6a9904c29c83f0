import type { Call } from "../linearizable.ts";
import { getText, key, put } from "../storage_bench.ts";
import type { Member } from "./member.ts";

/** One finished call on one key, as a thread can post it. `value`: what was read or written. */
export interface Done {
  readonly name: string;
  readonly start: number;
  readonly end: number;
  readonly kind: "get" | "head" | "put" | "delete" | "clear";
  readonly value: string | undefined;
  /** put: whether it replaced; delete: whether there was something. */
  readonly existed: boolean;
}

/** What a random client does. */
export interface RandomWork {
  readonly names: readonly string[];
  readonly operations: number;
  readonly seed: number;
}

/** Random calls one after another; what each answered, and when. */
export async function workAtRandom(member: Member, work: RandomWork): Promise<readonly Done[]> {
  const random = randomFrom(work.seed);
  const done: Done[] = [];
  for (let i = 0; i < work.operations; i += 1) {
    const name = work.names[random(work.names.length)] ?? "";
    const what = random(20);
    if (what < 3) evict(member, `${work.seed}:${i}`);
    else if (what < 4) {
      const start = member.tick();
      await member.storage.clear({ tenant: undefined, tier: undefined });
      const end = member.tick();
      for (const each of work.names) {
        done.push({ name: each, start, end, kind: "clear", value: undefined, existed: false });
      }
    } else {done.push(
        await call(member, name, { what, id: `${work.seed}.${i}`, large: random(4) === 0, durable: random(2) === 0 }),
      );}
  }
  return done;
}

async function call(
  { storage, tick }: Member,
  name: string,
  how: { readonly what: number; readonly id: string; readonly large: boolean; readonly durable: boolean },
): Promise<Done> {
  const start = tick();
  const note = (kind: Done["kind"], value: string | undefined, existed: boolean): Done => ({
    name,
    start,
    end: tick(),
    kind,
    value,
    existed,
  });
  if (how.what < 11) {
    const text = await getText(storage, name);
    return note("get", text?.split(".x")[0], text !== undefined);
  }
  if (how.what < 12) {
    const found = await storage.head(key(name));
    return note("head", found?.meta.contentType, found !== undefined);
  }
  if (how.what < 14) return note("delete", undefined, await storage.delete(key(name)));
  const body = `${how.id}.x`.padEnd(how.large ? 40_000 : 1000, "x");
  // Those of 1000 bytes come whole, or in two pieces.
  const pieceBytes = how.what % 2 === 0 ? 1000 : 600;
  const durability = how.durable ? "l2" : "l1";
  const { replaced } = await put(storage, name, { body, pieceBytes, durability, contentType: how.id });
  return note("put", how.id, replaced);
}

/** What a register would do. */
export function callOf({ start, end, kind, value, existed }: Done): Call {
  return {
    start,
    end,
    label: `${kind} ${value} ${existed}`,
    apply: (now) => {
      if (kind === "clear") return [undefined];
      if (kind === "get" || kind === "head") return now === value ? [now] : [];
      return (now !== undefined) === existed ? [value] : [];
    },
  };
}

/** Evicts everything from L1 that nothing pins. */
function evict({ l1 }: Member, id: string): void {
  const leases = [];
  for (let sizeBytes = l1.admissionLimitBytes; sizeBytes >= 64;) {
    const request = { key: { tenant: "filler", key: "filler" }, sizeBytes, contentType: "", sha256: "" };
    const [staged] = l1.reserveWrite([request], `${id}:${leases.length}`);
    if (typeof staged === "object") leases.push(staged.lease);
    else sizeBytes = Math.floor(sizeBytes / 2);
  }
  l1.abort(leases);
}

function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}
