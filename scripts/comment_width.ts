/**
 * Fails if a comment goes beyond 120 columns, and names each; with --fix, breaks them into more lines. Paths may
 * follow.
 */
import { globSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { COMMENT_COLUMNS, longComments, wrapComments } from "./wrap_comments.ts";

const args = process.argv.slice(2);
const fixes = args.includes("--fix");
const given = args.filter((arg) => arg !== "--fix");
const paths = given.length > 0 ? given : globSync("{src,routes,page,test,scripts,bench}/**/*.{ts,js}").toSorted();
let found = 0;
for (const path of paths) {
  let source = readFileSync(path, "utf8");
  if (fixes && longComments(source).length > 0) {
    source = wrapComments(source);
    writeFileSync(path, source);
  }
  for (const line of longComments(source)) {
    console.error(`${path}:${line}: comment beyond ${COMMENT_COLUMNS} columns`);
    found += 1;
  }
}
if (found > 0) process.exit(1);
