/**
 * Runs after every `bun install`: readies Deno and leaves the stamp that scripts/ensure.ts looks for. Imports nothing
 * from npm.
 */
import { existsSync } from "node:fs";
import { writeStamp } from "./install_stamp.ts";

// Bun does not run Deno's own install script. It makes node_modules/.bin/deno the program itself instead of a script
// for Node that starts it: a signal then reaches the server, and no Node is needed.
const denoInstallScript = "node_modules/deno/install.cjs";
const hasTools = existsSync(denoInstallScript);
if (hasTools) await import(`../${denoInstallScript}`);
writeStamp(hasTools ? "all" : "server");
