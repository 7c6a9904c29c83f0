import { FileAdapter } from "../../src/l2/file.ts";
import { MemoryAdapter } from "../../src/l2/memory.ts";
import type { AdapterFixture } from "./conformance.ts";

/** One fixture for each URL scheme in src/l2/mod.ts. */
export const fixtures = {
  "file:": {
    name: "file",
    persistent: true,
    open: (folder, options) => FileAdapter.open({ ...options, name: "fs", path: folder, sync: false }),
  },
  "memory:": {
    name: "memory",
    persistent: false,
    open: (_folder, options) => Promise.resolve(new MemoryAdapter({ ...options, name: "memory" })),
  },
} as const satisfies Readonly<Record<string, AdapterFixture>>;
