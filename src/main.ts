import process from "node:process";
import { EXIT, HARMLESS_SIGNALS, STOP_SIGNALS } from "./compose/stopper.ts";
import { hangupIsIgnored, print } from "./runtime/host.ts";

// A closed terminal or pipe, or a full disk, costs lines, not the server.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});

/** Ends the process at once, because there is nothing to finish before the server is loaded. */
function endAtOnce(signal: NodeJS.Signals): void {
  print(console.error, `vitrine: stopped before it served: ${signal}`);
  process.exit(EXIT.done);
}

// A process started by nohup outlives its terminal.
const isHangupIgnored = hangupIsIgnored();
const signals = STOP_SIGNALS.filter((signal) => signal !== "SIGHUP" || !isHangupIgnored);
// Once Deno listens to any signal, SIGHUP needs a listener too: without one it ends the process, even if it is set to
// be ignored.
const harmless = isHangupIgnored ? [...HARMLESS_SIGNALS, "SIGHUP"] : HARMLESS_SIGNALS;
for (const signal of harmless) process.on(signal, () => {});
for (const signal of signals) process.on(signal, endAtOnce);
// Loading the server takes some hundred milliseconds. In that time a signal without a handler would end the runtime, or
// be ignored by process 1 of a container.
const { loadThread } = await import("./runtime/thread.ts");
// Every server has a worker, so one loads beside this thread, unless the command line asks for something else.
if (
  !process.argv.slice(2).some((argument) => argument === "token" || argument === "--help" || argument === "--version")
) {
  loadThread(new URL("./compose/cluster/worker.ts", import.meta.url));
}
const { serve } = await import("./compose/serve.ts");
await serve({
  signals,
  onListening() {
    for (const signal of signals) process.off(signal, endAtOnce);
  },
});
