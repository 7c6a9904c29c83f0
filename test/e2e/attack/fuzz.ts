import fc from "fast-check";
import { connect } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import type { Address } from "../support/http/connection.ts";
import type { SuiteRun } from "../support/run_suite.ts";
import { AttackedServer } from "./attacked_server.ts";
import type { PartOptions } from "./part.ts";
import { type Message, message, SENTINEL } from "./messages.ts";

const BATCH = 24;
/** How long a client waits for more when it has said everything. */
const PATIENCE_MS = 60;
/** How long a connection may stay open after its client has closed its side. */
const CLOSE_MS = 10_000;

/** Sends a message over a connection of its own; resolves with all that came back, as Latin-1. */
async function say({ host, port }: Address, { text, cuts, end }: Message): Promise<string> {
  const socket = connect({ host, port, noDelay: true });
  let received = "";
  const closed = new Promise<void>((resolve) => {
    socket.on("data", (data: Uint8Array) => received += Buffer.from(data).toString("latin1"));
    socket.on("error", () => {});
    socket.on("close", () => resolve());
  });
  const bytes = Buffer.from(text, "latin1");
  let from = 0;
  for (const cut of cuts.map((part) => Math.floor(part * bytes.length)).toSorted((a, b) => a - b)) {
    socket.write(bytes.subarray(from, cut));
    from = cut;
    await wait(1);
  }
  socket.write(bytes.subarray(from));
  if (end === "disappears") socket.destroy();
  else if (end === "half-closes") socket.end();
  else {
    await Promise.race([closed, wait(PATIENCE_MS)]);
    socket.end();
  }
  const isClosed = await Promise.race([closed.then(() => true), wait(CLOSE_MS, false, { ref: false })]);
  socket.destroy();
  if (!isClosed) throw new Error(`wait for close: the connection stays open after ${JSON.stringify(received)}`);
  return received;
}

/** Statuses in what came back. */
function statusesIn(received: string): readonly number[] {
  return Array.from(received.matchAll(/^HTTP\/1\.[01] (\d{3})/gm), ([, status]) => Number(status));
}

/** Raw bytes over sockets: framing, smuggling, lengths, trailers, pipelining, huge fields, nonsense. */
export async function fuzz({ runtime, checks }: SuiteRun, { seconds, seed }: PartOptions): Promise<void> {
  const server = await AttackedServer.start(runtime, { "idle-timeout": "8s" });
  const { address } = server.process;
  const kept = `${server.url}${SENTINEL}`;
  await fetch(kept, { method: "PUT", body: "kept" });
  const seen = new Map<number, number>();
  let connections = 0;
  const result = await fc.check(
    fc.asyncProperty(fc.array(message, { minLength: BATCH, maxLength: BATCH }), async (messages) => {
      const answers = await Promise.all(messages.map((each) => say(address, each)));
      connections += messages.length;
      for (const [i, received] of answers.entries()) {
        for (const status of statusesIn(received)) {
          seen.set(status, (seen.get(status) ?? 0) + 1);
          if (status >= 500 && status !== 501 && status !== 503 && status !== 505 && status !== 507) {
            throw new Error(`read answer: ${status} to ${JSON.stringify(messages[i]?.text.slice(0, 2000))}`);
          }
        }
      }
      const stored = await (await fetch(kept)).text();
      if (stored !== "kept") throw new Error(`read sentinel: a hidden request was taken for one: ${stored}`);
    }),
    { seed, numRuns: 1_000_000, interruptAfterTimeLimit: seconds * 1000, endOnFailure: true },
  );
  checks.that(
    "no message harms the server",
    !result.failed || result.interrupted && result.counterexample === null,
    () => fc.defaultReportMessage(result)?.slice(0, 6000) ?? "",
  );
  console.log(`fuzz: ${connections} connections, statuses ${JSON.stringify(Object.fromEntries(seen))}`);
  checks.that(
    "the messages reach the routes",
    (seen.get(201) ?? 0) > 0 && (seen.get(404) ?? 0) > 0 && (seen.get(400) ?? 0) > 0,
  );
  await server.checkUnharmed("fuzz", checks);
}
