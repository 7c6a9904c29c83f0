import { parentPort, workerData } from "node:worker_threads";
import { getBytes, put } from "../storage_bench.ts";
import { count } from "./count.ts";
import { type Done, type RandomWork, workAtRandom } from "./history.ts";
import { type Common, type CrewLines, openMember } from "./member.ts";

/** What a thread is started with. */
export interface ThreadData {
  readonly common: Common;
  readonly workerId: number;
  readonly lines: CrewLines;
  readonly stalledLoads: readonly string[];
}

/** What a thread can be told to do. */
export type Task =
  | { readonly kind: "work"; readonly clients: readonly RandomWork[] }
  | { readonly kind: "read"; readonly name: string; readonly readers: number }
  | {
    readonly kind: "put";
    readonly names: readonly string[];
    readonly bytes?: number;
    readonly durability: "l1" | "l2";
  }
  /** Adds 1 to the number in an object so many times, by writes on condition that nobody else did meanwhile. */
  | { readonly kind: "count"; readonly name: string; readonly times: number }
  | { readonly kind: "drain" };

/** What it answers: once for each task, but "stalled" as it happens. */
export type Answer =
  | { readonly kind: "ready" }
  | { readonly kind: "stalled"; readonly name: string }
  | { readonly kind: "worked"; readonly history: readonly Done[] }
  | { readonly kind: "read"; readonly sizes: readonly (number | undefined)[]; readonly loads: number }
  | { readonly kind: "done" }
  | { readonly kind: "failed"; readonly message: string };

function parseData(data: ThreadData): ThreadData {
  return data;
}

const { common, workerId, lines, stalledLoads } = parseData(workerData);
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is for windows
const answer = (message: Answer): void => parentPort?.postMessage(message);
const member = openMember(common, {
  workerId,
  lines,
  stalls: {
    keys: new Set(stalledLoads),
    onStall: (name) => answer({ kind: "stalled", name }),
  },
});

async function run(task: Task): Promise<Answer> {
  if (task.kind === "work") {
    const histories = await Promise.all(task.clients.map((work) => workAtRandom(member, work)));
    return { kind: "worked", history: histories.flat() };
  }
  if (task.kind === "read") {
    const reading = Array.from({ length: task.readers }, () => getBytes(member.storage, task.name));
    const sizes = (await Promise.all(reading)).map((bytes) => bytes?.length);
    return { kind: "read", sizes, loads: member.count("l2.load.submitted") };
  }
  if (task.kind === "put") {
    const { durability, bytes = 0 } = task;
    await Promise.all(
      task.names.map((name) => put(member.storage, name, { body: `${name} of ${workerId}`.padEnd(bytes), durability })),
    );
  } else if (task.kind === "count") await count(member, task);
  else await member.storage.drain();
  return { kind: "done" };
}

parentPort?.on("message", (task: Task) => {
  run(task).then(answer, (error: unknown) => answer({ kind: "failed", message: String(error) }));
});
answer({ kind: "ready" });
