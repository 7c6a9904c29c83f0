import { openOwnFolder } from "../../src/l2/file/adapter.ts";
import { MemoryAdapter } from "../../src/l2/memory.ts";
import type { AdapterFixture } from "./conformance.ts";

/**
 * The schemes of tiers over an engine of their own: `bun run e2e:redis` and `bun run e2e:s3tier` hold them to the
 * conformance suite.
 */
export const engineSchemes = [
  "redis:",
  "rediss:",
  "redis+cluster:",
  "rediss+cluster:",
  "redis+sentinel:",
  "rediss+sentinel:",
  "s3:",
  "http:",
  "https:",
] as const;

/** One fixture for each other URL scheme in src/l2/schemes.ts. */
export const fixtures = {
  "file:": {
    name: "file",
    persistent: true,
    open: (folder, options) =>
      Promise.resolve(openOwnFolder({ ...options, name: "fs", path: folder, sync: false }).adapter),
  },
  "memory:": {
    name: "memory",
    persistent: false,
    open: (_folder, options) => Promise.resolve(new MemoryAdapter({ ...options, name: "memory" })),
  },
} as const satisfies Readonly<Record<string, AdapterFixture>>;
