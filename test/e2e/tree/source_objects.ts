import { readdirSync, readFileSync, statSync } from "node:fs";
import { Random } from "../support/random.ts";

/** Something to store: a key and where its bytes come from. */
export interface SourceObject {
  readonly key: string;
  readonly sizeBytes: number;
  readonly read: () => Uint8Array;
}

const mib = 1024 ** 2;
/** Files up to this size are stored again under other prefixes, to have tens of thousands of objects. */
const copyLimitBytes = 64 * 1024;

/** Every file in a folder by its real name; links are not followed. */
function filesUnder(folder: string): readonly SourceObject[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return filesUnder(path);
    return entry.isFile() ? [{ key: path, sizeBytes: statSync(path).size, read: () => readFileSync(path) }] : [];
  });
}

/**
 * The extremes: sizes around page, copy limit and admission limit, up to 100 MB; keys with everything that a path may
 * not hold.
 */
function syntheticObjects(admissionLimitBytes: number): readonly SourceObject[] {
  const sizes = [0, 1, 4095, 4096, 4097, 256 * 1024, 256 * 1024 + 1, mib - 1, mib + 1];
  const large = [admissionLimitBytes - 4096, admissionLimitBytes, admissionLimitBytes + 1, 100_000_000];
  return [...sizes, ...large].map((sizeBytes, seed) => ({
    key: `synthetic/../ü%2F@ ?&#+"\\/\u{1F5C3}/${sizeBytes}`,
    sizeBytes,
    read: () => new Random(seed).bytes(sizeBytes),
  }));
}

/**
 * What node_modules lacks: objects of some MiB, together four times an L1 of 256 MiB, so that most bytes cycle through
 * both tiers.
 */
function middlingObjects(admissionLimitBytes: number): readonly SourceObject[] {
  const random = new Random(1);
  return Array.from({ length: 128 }, (_, i) => {
    const sizeBytes = random.logUniform(mib, admissionLimitBytes);
    return { key: `synthetic/${i}`, sizeBytes, read: () => new Random(i).bytes(sizeBytes) };
  });
}

/** Every file under node_modules, the synthetic ones, and copies of the small files until there are `count`. */
export function sourceObjects({ count, admissionLimitBytes }: {
  readonly count: number;
  readonly admissionLimitBytes: number;
}): readonly SourceObject[] {
  const objects = [
    ...filesUnder("node_modules"),
    ...syntheticObjects(admissionLimitBytes),
    ...middlingObjects(admissionLimitBytes),
  ];
  const small = objects.filter(({ sizeBytes }) => sizeBytes <= copyLimitBytes);
  const rounds = Math.max(0, Math.ceil((count - objects.length) / small.length));
  const copies = Array.from(
    { length: rounds },
    (_, round) => small.map((object) => ({ ...object, key: `copy ${round}/${object.key}` })),
  ).flat();
  return [...objects, ...copies].slice(0, Math.max(count, objects.length));
}
