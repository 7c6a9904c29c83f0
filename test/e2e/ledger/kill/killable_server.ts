/**
 * A server as src/main.ts starts it, of which each line `kill PLACE` on standard input ends one worker in the middle of
 * what it does.
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { serve } from "../serve.ts";

const { supervisor } = await serve();
createInterface({ input: process.stdin }).on("line", (line) => {
  const slot = /^kill (?<slot>\d+)$/.exec(line)?.groups?.["slot"];
  if (slot === undefined) throw new Error(`killable server: unknown line: ${line}`);
  void supervisor.kill(Number(slot));
});
