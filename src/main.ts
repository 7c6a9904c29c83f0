import process from "node:process";
import { HARMLESS_SIGNALS, STOP_SIGNALS } from "./compose/stopper.ts";
import { EXIT } from "./compose/stop_result.ts";
import { hangupIsIgnored } from "./runtime/ignored_signals.ts";
import { print } from "./runtime/print.ts";

// A closed terminal or pipe, or a full disk, costs lines, not the server.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});

/** Ends the process at once: before the server is loaded, there is nothing to finish. */
function endAtOnce(signal: NodeJS.Signals): void {
  print(console.error, `vitrine: stopped before it served: ${signal}`);
  process.exit(EXIT.done);
}

// A process that nohup starts outlives its terminal.
const isHangupIgnored = hangupIsIgnored();
const signals = STOP_SIGNALS.filter((signal) => signal !== "SIGHUP" || !isHangupIgnored);
// As soon as Deno listens to any signal, a hang-up without a listener of its own ends it, although it is set to be
// ignored.
const harmless = isHangupIgnored ? [...HARMLESS_SIGNALS, "SIGHUP"] : HARMLESS_SIGNALS;
for (const signal of harmless) process.on(signal, () => {});
for (const signal of signals) process.on(signal, endAtOnce);
// Loading the server takes some hundred milliseconds. Without a handler, a signal would end the runtime in that time,
// or be ignored in process 1 of a container.
const { serve } = await import("./compose/serve.ts");
await serve({
  signals,
  onListening() {
    for (const signal of signals) process.off(signal, endAtOnce);
  },
});
