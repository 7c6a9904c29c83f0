import { type IncomingMessage, request as send } from "node:http";
import { text } from "node:stream/consumers";
import { targetOf } from "../../../routes/http/request_target.ts";
import { VitrineError } from "../../core/errors.ts";
import type { OpenEvents, WantedEvents } from "../../events/live/wanted_events.ts";

/** Where the admin port answers this server's own workers. */
const PATH = "/internal/events";
/** What says that it is one of them. */
const KEY_HEADER = "vitrine-relay-key";
const WANTED_HEADER = "vitrine-relay-wanted";

/** Which main a worker asks. */
export interface RelayTarget {
  readonly host: string;
  /** The admin port. */
  readonly port: number;
  /** Known to main and this worker alone. */
  readonly key: string;
}

/** Main's end: answers workers that ask for a stream. Such requests are counted where they came in, in the worker. */
export class EventRelay {
  /** What a worker's requests carry, once it may ask. */
  readonly #workers = new Map<string, { readonly holder: number; readonly gone: AbortController }>();
  readonly #open: OpenEvents;

  constructor(open: OpenEvents) {
    this.#open = open;
  }

  /** Lets a worker ask, by the key that is returned. */
  admit(holder: number): string {
    const key = crypto.randomUUID();
    this.#workers.set(key, { holder, gone: new AbortController() });
    return key;
  }

  /** Ends a worker's streams: its connections may outlive its thread. */
  gone(holder: number): void {
    for (const [key, worker] of this.#workers) {
      if (worker.holder !== holder) continue;
      this.#workers.delete(key);
      worker.gone.abort();
    }
  }

  /** Undefined if the request is not a worker's. */
  answer(request: Request): Promise<Response> | undefined {
    const key = request.headers.get(KEY_HEADER);
    const worker = key === null ? undefined : this.#workers.get(key);
    if (worker === undefined || targetOf(request.url) !== PATH) return undefined;
    return this.#stream(parseWanted(request.headers.get(WANTED_HEADER) ?? ""), worker.gone.signal);
  }

  async #stream(wanted: WantedEvents, signal: AbortSignal): Promise<Response> {
    try {
      return new Response(await this.#open(wanted, signal));
    } catch (error) {
      if (!(error instanceof VitrineError)) throw error;
      const { code, message, details } = error;
      return Response.json({ code, message, details }, { status: 503 });
    }
  }
}

/** A worker's end: asks main. Not by fetch, which goes through a proxy where HTTP_PROXY is set. */
export function relayedEvents(target: RelayTarget): OpenEvents {
  return async (wanted) => {
    const response = await ask(target, wanted);
    if (response.statusCode !== 200) throw await failureOf(response);
    const chunks: AsyncIterator<Uint8Array> = response[Symbol.asyncIterator]();
    return new ReadableStream({
      async pull(controller) {
        const { done, value } = await chunks.next();
        if (done) controller.close();
        else controller.enqueue(new Uint8Array(value));
      },
      cancel: () => void response.destroy(),
    }, { highWaterMark: 0 });
  };
}

function ask({ host, port, key }: RelayTarget, wanted: WantedEvents): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = { [KEY_HEADER]: key, [WANTED_HEADER]: encodeURIComponent(JSON.stringify(wanted)) };
    const asked = send({ host: reachable(host), port, path: PATH, headers, agent: false }, resolve);
    asked.on("error", reject);
    asked.end();
  });
}

/** An address to connect to, of one to listen on. */
function reachable(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  return host === "::" ? "::1" : host;
}

async function failureOf(response: IncomingMessage): Promise<VitrineError> {
  const { code, message, details } = parseFailure(await text(response));
  return new VitrineError(code, message, { details });
}

function parseFailure(json: string): Pick<VitrineError, "code" | "message" | "details"> {
  return JSON.parse(json);
}

/** What `ask` wrote. */
function parseWanted(header: string): WantedEvents {
  return JSON.parse(decodeURIComponent(header));
}
