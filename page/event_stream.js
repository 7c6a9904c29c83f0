// @ts-check

/**
 * A record of the stream.
 * @typedef {object} LiveRecord
 * @property {string} id for `Last-Event-ID`; "" if it has none
 * @property {string} name of the event, or `lost`: the listener has missed `count` events
 * @property {Date | undefined} time
 * @property {number | undefined} count number of events in it; undefined if it is not known
 * @property {readonly (readonly [string, string])[]} fields
 */

const framing = new Set(["id", "name", "time", "count", "folded"]);

/** @param {unknown} field */
function textOf(field) {
  if (typeof field === "string") return field;
  // Seconds arrive with all digits of a double.
  return JSON.stringify(typeof field === "number" && !Number.isInteger(field) ? Number(field.toPrecision(3)) : field);
}

/** @param {unknown} value */
function parseTime(value) {
  if (typeof value !== "string" && typeof value !== "number") return undefined;
  const time = new Date(value);
  return Number.isNaN(time.getTime()) ? undefined : time;
}

/**
 * Reads one record of `/v1/events`. Throws if it has no name.
 * @param {unknown} value
 * @returns {LiveRecord}
 */
export function parseRecord(value) {
  if (typeof value !== "object" || value === null || !("name" in value) || typeof value.name !== "string") {
    throw new Error("parse live event: no name");
  }
  const entries = Object.entries(value);
  const of = Object.fromEntries(entries.filter(([name]) => framing.has(name)));
  return {
    id: typeof of["id"] === "string" ? of["id"] : "",
    name: value.name,
    time: parseTime(of["time"]),
    count: typeof of["count"] === "number" ? of["count"] : undefined,
    fields: entries.filter(([name, field]) => !framing.has(name) && field !== "").map(([name, field]) => {
      return [name, textOf(field)];
    }),
  };
}

/**
 * Reads a body with one JSON value per line, as the lines arrive. Empty lines only keep the connection open.
 * @param {ReadableStream<Uint8Array<ArrayBuffer>>} body
 * @returns {AsyncGenerator<unknown, void, void>}
 */
export async function* readNdjson(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (line.trim() !== "") yield JSON.parse(line);
    }
  } finally {
    // A reader that stops closes the connection.
    await reader.cancel();
  }
  if (rest.trim() !== "") yield JSON.parse(rest);
}

/**
 * `refused`: a token is needed, or another one; `failed`: the server has refused for another reason; `broken`: the
 * stream will try again.
 * @typedef {"closed" | "connecting" | "open" | "refused" | "failed" | "broken"} StreamState
 */

/**
 * @typedef {object} StreamOptions
 * @property {(url: string, init: RequestInit) => Promise<Response>} fetch
 * @property {(milliseconds: number, signal: AbortSignal) => Promise<void>} wait ends early when the signal is aborted
 * @property {(record: LiveRecord) => void} onRecord
 * @property {(state: StreamState, detail: string) => void} onState
 */

const firstRetryMs = 1000;
const lastRetryMs = 15_000;

/** @param {Response} response */
async function refusalOf(response) {
  const text = await response.text();
  try {
    const { detail } = JSON.parse(text);
    return typeof detail === "string" ? detail : text;
  } catch {
    return text;
  }
}

/** A stream of live events. When the connection breaks, it continues after the last event received. */
export class EventStream {
  #options;
  /** @type {AbortController | undefined} */
  #running;

  /** @param {StreamOptions} options */
  constructor(options) {
    this.#options = options;
  }

  /**
   * Switches to the events of these types.
   * @param {{ readonly types: string }} wanted `types`: globs, separated by commas
   * @returns {Promise<void>} settles when the stream has ended for good
   */
  open(wanted) {
    this.close();
    const running = new AbortController();
    this.#running = running;
    return this.#follow(wanted, running.signal);
  }

  /** Ends the connection. */
  close() {
    if (this.#running === undefined) return;
    this.#running.abort();
    this.#running = undefined;
    this.#options.onState("closed", "");
  }

  /**
   * @param {{ readonly types: string }} wanted
   * @param {AbortSignal} signal
   */
  async #follow(wanted, signal) {
    const { onState, onRecord, wait } = this.#options;
    let lastId = "";
    for (let failures = 0; !signal.aborted; failures += 1) {
      onState("connecting", "");
      let reason = "";
      try {
        const response = await this.#request({ ...wanted, lastId }, signal);
        if (response.ok && response.body !== null) {
          onState("open", "");
          failures = 0;
          for await (const value of readNdjson(response.body)) {
            const record = parseRecord(value);
            lastId = record.id;
            onRecord(record);
          }
        } else {
          reason = await refusalOf(response);
          if (response.status < 500) return onState(response.status === 401 ? "refused" : "failed", reason);
        }
      } catch (error) {
        reason = String(error);
      }
      // Closing the stream makes the read fail, as intended.
      if (signal.aborted) return;
      onState("broken", reason);
      await wait(Math.min(firstRetryMs * 2 ** failures, lastRetryMs), signal);
    }
  }

  /**
   * @param {{ readonly types: string, readonly lastId: string }} wanted
   * @param {AbortSignal} signal
   */
  #request({ types, lastId }, signal) {
    const headers = new Headers({ accept: "application/x-ndjson" });
    if (lastId !== "") headers.set("last-event-id", lastId);
    return this.#options.fetch(`v1/events?${new URLSearchParams({ type: types })}`, { headers, signal });
  }
}
