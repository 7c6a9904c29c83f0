import process from "node:process";
import { parentPort, workerData } from "node:worker_threads";
import { VitrineError } from "../../core/errors.ts";
import { ownThreadId } from "../../runtime/thread.ts";
import { Board } from "../cluster/board.ts";
import { reportError } from "../report_error.ts";
import type { FromStorageThread, StorageThreadData, ToStorageThread } from "./messages.ts";
import { runStorageThread } from "./run.ts";

/** Entry point of the storage thread. */
const port = parentPort;
if (port === null) throw new Error("run the storage thread: this is the main thread");
const data: StorageThreadData = workerData;
new Board(data.board).setStorageThreadId(ownThreadId());
const say = (message: FromStorageThread) => port.postMessage(message);

try {
  const thread = await runStorageThread(data);
  port.on("message", (message: ToStorageThread) => {
    if (message.kind !== "stop") thread.hear(message);
    else {
      thread.stop().then(
        (totals) => say({ kind: "stopped", ...totals }),
        (error: unknown) => say({ kind: "failed", message: error instanceof Error ? error.message : String(error) }),
      );
    }
  });
  say({ kind: "ready" });
} catch (error) {
  if (!(error instanceof VitrineError)) reportError(error);
  say({ kind: "failed", message: error instanceof Error ? error.message : String(error) });
  process.exitCode = 1;
}
