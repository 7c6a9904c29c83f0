import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { EncodingAdapter } from "../../../src/l2/encoding/adapter.ts";
import { KeyRing } from "../../../src/l2/encoding/cipher.ts";
import type { Encoding } from "../../../src/l2/encoding/encoder.ts";
import { MemoryAdapter } from "../../../src/l2/memory.ts";
import { newBench } from "../support.ts";

/** Two keys of key files, as one may write them. */
export const keyLines = { hex: "a1".repeat(32), base64: Buffer.alloc(32, 7).toString("base64") } as const;

/** Writes a key file and returns its path. */
export function keyFile(folder: string, ...lines: readonly string[]): string {
  const path = join(folder, "keys");
  writeFileSync(path, lines.map((line) => `${line}\n`).join(""));
  return path;
}

export type Mode = "compress" | "encrypt" | "compress and encrypt";

export const modes: readonly Mode[] = ["compress", "encrypt", "compress and encrypt"];

/** Returns the encoding of a mode, with a key file in the folder. */
export async function encodingOf(mode: Mode, folder: string): Promise<Encoding> {
  const keys = mode === "compress" ? undefined : await KeyRing.open(keyFile(folder, keyLines.hex));
  return { compresses: mode !== "encrypt", keys };
}

/** Returns a tier in memory, and the adapter that encodes its objects. */
export function encodedMemory(encoding: Encoding) {
  const inner = new MemoryAdapter({ ...newBench(), name: "memory", limitBytes: 0 });
  return { inner, adapter: new EncodingAdapter(inner, encoding) };
}
