import { globSync, readFileSync, statSync } from "node:fs";
import { Random } from "../support/random.ts";

/** Something to store: a key and where its bytes come from. */
export interface SourceObject {
  readonly key: string;
  readonly sizeBytes: number;
  readonly read: () => Uint8Array;
}

const mib = 1024 ** 2;
/** Files up to this size are stored a second time under another prefix, to have tens of thousands of objects. */
const copyLimitBytes = 64 * 1024;

/** Every file under node_modules by its real name, no links. */
function realFiles(): readonly SourceObject[] {
  return globSync("node_modules/**/*", { withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => {
    const path = `${entry.parentPath}/${entry.name}`;
    return { key: path, sizeBytes: statSync(path).size, read: () => readFileSync(path) };
  });
}

/** The extremes: sizes around page, copy limit and admission limit, up to 100 MB; keys with everything that a path may not hold. */
function syntheticObjects(admissionLimitBytes: number): readonly SourceObject[] {
  const sizes = [0, 1, 4095, 4096, 4097, 256 * 1024, 256 * 1024 + 1, mib - 1, mib + 1];
  const large = [admissionLimitBytes - 4096, admissionLimitBytes, admissionLimitBytes + 1, 100_000_000];
  return [...sizes, ...large].map((sizeBytes, seed) => ({
    key: `synthetic/../ü%2F@ ?&#+"\\/\u{1F5C3}/${sizeBytes}`,
    sizeBytes,
    read: () => new Random(seed).bytes(sizeBytes),
  }));
}

/** What the suite stores. */
export function sourceObjects(admissionLimitBytes: number): readonly SourceObject[] {
  const files = realFiles();
  const copies = files.filter(({ sizeBytes }) => sizeBytes <= copyLimitBytes)
    .map((file) => ({ ...file, key: `copy of/${file.key}` }));
  return [...files, ...copies, ...syntheticObjects(admissionLimitBytes)];
}
