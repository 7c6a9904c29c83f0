import process from "node:process";
import { parentPort, workerData } from "node:worker_threads";
import { causeText } from "../../core/errors.ts";
import { ownThreadId } from "../../runtime/thread.ts";
import { reportError } from "../report_error.ts";
import { Board } from "./board.ts";
import { runWorker } from "./run_worker.ts";
import type { FromWorker, ToWorker } from "./worker_messages.ts";
import type { WorkerData } from "./worker_data.ts";

/** The entry of a worker's thread. */
const port = parentPort;
if (port === null) throw new Error("run as a worker: this is the main thread");
const data: WorkerData = workerData;
new Board(data.board).setThreadId(data.seat.place, ownThreadId());
const say = (message: FromWorker) => port.postMessage(message);

try {
  const worker = await runWorker(data, reportError);
  port.on("message", (message: ToWorker) => {
    if (message.kind === "storage") worker.connectStorage(message.lines);
    else if (message.kind === "tokens") worker.replaceTokens(message.tokens);
    else void worker.stop().then(say);
  });
  say({ kind: "ready", tiers: worker.tiers });
} catch (error) {
  say({ kind: "failed", message: causeText(error) });
  process.exitCode = 1;
}
