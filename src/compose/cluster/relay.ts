import { type IncomingMessage, request as send } from "node:http";
import { text } from "node:stream/consumers";
import { targetOf } from "../../../routes/http/target.ts";
import { causeText, VitrineError } from "../../core/errors.ts";
import type { OpenEvents, WantedEvents } from "../../events/live/live_listener.ts";

/** Paths of the admin port for this server's own workers. */
const PATHS = { events: "/internal/events", metrics: "/internal/metrics", status: "/internal/status" } as const;
/** The header with the key of a worker. */
const KEY_HEADER = "vitrine-relay-key";
const WANTED_HEADER = "vitrine-relay-wanted";
/**
 * Maximum time for an answer by main: longer than a scraper waits, so that a busy machine delays it but does not fail.
 */
const ANSWER_MS = 15_000;

/** The address of main for a worker. */
export interface RelayTarget {
  readonly host: string;
  /** The admin port. */
  readonly port: number;
  /** A secret of main and this worker. */
  readonly key: string;
}

/** The answers of main that workers pass on. */
export interface RelayAnswers {
  readonly events: OpenEvents;
  /** The text of /metrics. */
  readonly metrics: () => Promise<string>;
  /** The object of /status. */
  readonly status: () => Promise<object>;
}

/** Main's end: answers requests of workers. They are counted in the worker that received them. */
export class Relay {
  /** By key: the workers that may ask. */
  readonly #workers = new Map<string, { readonly workerId: number; readonly gone: AbortController }>();
  readonly #answers: RelayAnswers;

  constructor(answers: RelayAnswers) {
    this.#answers = answers;
  }

  /** Admits a worker and returns its key. */
  admit(workerId: number): string {
    const key = crypto.randomUUID();
    this.#workers.set(key, { workerId, gone: new AbortController() });
    return key;
  }

  /** Ends the streams of a worker, whose connections may outlive its thread. */
  gone(workerId: number): void {
    for (const [key, worker] of this.#workers) {
      if (worker.workerId !== workerId) continue;
      this.#workers.delete(key);
      worker.gone.abort();
    }
  }

  /** Answers a worker's request; undefined if the request is not from a worker. */
  answer(request: Request): Promise<Response> | undefined {
    const key = request.headers.get(KEY_HEADER);
    const worker = key === null ? undefined : this.#workers.get(key);
    if (worker === undefined) return undefined;
    switch (targetOf(request.url)) {
      case PATHS.events:
        return this.#stream(parseWanted(request.headers.get(WANTED_HEADER) ?? ""), worker.gone.signal);
      case PATHS.metrics:
        return this.#answers.metrics().then((text) => new Response(text));
      case PATHS.status:
        return this.#answers.status().then((status) => Response.json(status));
      case undefined:
      default:
        return undefined;
    }
  }

  async #stream(wanted: WantedEvents, signal: AbortSignal): Promise<Response> {
    try {
      return new Response(await this.#answers.events(wanted, signal));
    } catch (error) {
      if (!(error instanceof VitrineError)) throw error;
      const { code, message, details } = error;
      return Response.json({ code, message, details }, { status: 503 });
    }
  }
}

/** A worker's end: asks main. Does not use fetch, which would go through a proxy if HTTP_PROXY is set. */
export function relayed(target: RelayTarget): RelayAnswers {
  return {
    async events(wanted) {
      const headers = { [WANTED_HEADER]: encodeURIComponent(JSON.stringify(wanted)) };
      const response = await ask(target, { path: PATHS.events, headers });
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
    },
    metrics: () => askText(target, PATHS.metrics),
    status: async () => parseObject(await askText(target, PATHS.status)),
  };
}

/** Gets a text from main. Throws VitrineError (shutting_down) if main does not answer in time. */
async function askText(target: RelayTarget, path: string): Promise<string> {
  try {
    const response = await ask(target, { path, signal: AbortSignal.timeout(ANSWER_MS) });
    const body = await text(response);
    if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}`);
    return body;
  } catch (cause) {
    throw new VitrineError("shutting_down", `ask main: ${path}: ${causeText(cause)}`, { cause });
  }
}

function ask(
  { host, port, key }: RelayTarget,
  { path, headers, signal }: {
    readonly path: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly signal?: AbortSignal;
  },
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const asked = send({
      ...{ host: reachable(host), port, path, agent: false },
      headers: { ...headers, [KEY_HEADER]: key },
      ...(signal === undefined ? {} : { signal }),
    }, resolve);
    asked.on("error", reject);
    asked.end();
  });
}

/** The address to connect to for an address to listen on. */
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

function parseObject(json: string): object {
  return JSON.parse(json);
}

/** Parses the header that `relayed` wrote. */
function parseWanted(header: string): WantedEvents {
  return JSON.parse(decodeURIComponent(header));
}
