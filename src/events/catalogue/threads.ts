import { error, type EventFamily, label, oneOf, sum } from "./fields.ts";

/** Events of the threads of a server. */
export const threadEvents = {
  "worker.started": {
    doc: "A worker is ready: at the start of the server, or in the place of one that is gone.",
    fields: { place: label("The worker's place, 0 and up.") },
  },
  "worker.gone": {
    doc: "A worker's thread is over, or given up.",
    fields: {
      place: label("The worker's place, 0 and up."),
      cause: oneOf(
        ["threw", "ended", "hung", "killed", "not_started", "stopped"],
        "threw: what nobody caught; ended: by itself; hung: its heartbeat stood still, or it did not get ready; killed: as a drill; not_started: before it was ready; stopped: it was told to, with the server or because it was one too many.",
      ),
    },
  },
  "worker.stuck": {
    doc:
      "The thread of a worker that hung is still there one time-out after it was told to end: the process wants a restart.",
    fields: { place: label("The worker's place, 0 and up.") },
  },
  "storage_thread.started": {
    doc:
      "The storage thread has opened the folders of the file tiers: at the start of the server, or after the one before it has ended.",
    fields: {},
  },
  "storage_thread.gone": {
    doc: "The storage thread has ended without being told to; another is started.",
    fields: {
      cause: oneOf(
        ["threw", "ended", "not_started"],
        "threw: what nobody caught; ended: by itself; not_started: before it had opened the folders.",
      ),
      error,
    },
  },
  "storage_thread.stuck": {
    doc:
      "The storage thread's event loop has stood still for 5 s, e.g. in a call to a disk that does not answer. It is left alone.",
    fields: {},
  },
  "storage_thread.resumed": {
    doc: "The storage thread's event loop turns again.",
    fields: { seconds: sum("How long it stood still.") },
  },
} as const satisfies EventFamily;
