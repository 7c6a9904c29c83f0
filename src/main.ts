import process from "node:process";
import { IGNORED_SIGNALS, STOP_SIGNALS } from "./compose/stop/stop_policy.ts";
import { EXIT } from "./compose/stop/stop_result.ts";
import { hangupIsIgnored } from "./runtime/ignored_signals.ts";
import { print } from "./runtime/print.ts";

// A closed terminal or pipe, or a full disk, costs lines, not the server.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});

/** Ends the process at once: as long as the server is not loaded, there is nothing to finish. */
function endAtOnce(signal: NodeJS.Signals): void {
  print(console.error, `vitrine: stopped before it served: ${signal}`);
  process.exit(EXIT.done);
}

// Whoever starts it with nohup wants it to survive its terminal.
const isHangupIgnored = hangupIsIgnored();
const signals = STOP_SIGNALS.filter((signal) => signal !== "SIGHUP" || !isHangupIgnored);
// Deno ends at a hang-up without a listener as soon as there is one for another signal, though it was told to ignore it.
const unheard = [...IGNORED_SIGNALS, ...(isHangupIgnored ? ["SIGHUP"] : [])];
for (const signal of unheard) process.on(signal, () => {});
for (const signal of signals) process.on(signal, endAtOnce);
// Loaded only now: that takes some hundred milliseconds, in which a signal would end the runtime or, as process 1 of a container, do nothing.
const { serve } = await import("./compose/serve.ts");
await serve({
  signals,
  onListening() {
    for (const signal of signals) process.off(signal, endAtOnce);
  },
});
