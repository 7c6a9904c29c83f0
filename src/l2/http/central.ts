import { setTimeout as wait } from "node:timers/promises";
import { VitrineError } from "../../core/errors.ts";
import type { ObjectKey } from "../../core/object.ts";
import { fromBase64, TIER_FIELDS, TIER_LOOKUP, TIER_OBJECTS, TIER_PATH, toBase64 } from "../../core/tier_protocol.ts";
import type { HttpSettings } from "./settings.ts";

/** Milliseconds without progress after which a request is given up, and that a probe may take. */
const [PATIENCE_MS, PROBE_MS] = [25_000, 5000];
/** Milliseconds after which an answer is late, so that the server is probed. */
const SLOW_MS = 5000;
/** Attempts of a request that may be repeated, and the longest wait before the second one in milliseconds. */
const [ATTEMPTS, RETRY_MS] = [3, 100];
/** Milliseconds for which a token that was refused is not sent again: servers count the wrong tokens of an address. */
const REFUSED_MS = 60_000;
/** The most that is read of an answer that says why a request failed. */
const MAX_PROBLEM_LENGTH = 4096;

/** A request for an object, or without a key for the listing, or with POST about many keys. */
export interface CentralRequest {
  readonly method: "GET" | "HEAD" | "PUT" | "DELETE" | "POST";
  readonly tenant: string;
  /** The key there; default: the listing. */
  readonly key?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** A PUT is sent once. */
  readonly body?: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Gets the patience with the server when the request begins. */
  readonly onBegin?: (patience: Patience) => void;
}

/** The time for which a request waits for the server. */
export interface Patience {
  /** The server has to do something, from now on for a while at most. */
  wait(): void;
  /** The server has nothing to do. */
  rest(): void;
}

/** An answer. Its body must be read or cancelled. */
export interface CentralReply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>> | null;
  /** Rests until a part of the body is asked for. */
  readonly patience: Patience;
  /** Ends the request, whatever is left of its body. */
  readonly end: () => void;
}

/** Options of a Central. */
export interface CentralOptions {
  readonly settings: HttpSettings;
  readonly serverId: string;
  /** Reads the token; "" if there is none. Throws tier_failed. */
  readonly token: () => string;
  /** Called when a request has failed, or is answered late. */
  readonly onFailed: () => void;
  /** Called when a probe has found other servers behind than the one before it. */
  readonly onChanged: () => void;
}

/** The other server: sends it requests, with this server's token and name. */
export class Central {
  readonly #options: CentralOptions;
  #token = "";
  #behind: readonly string[] = [];
  #refused: { readonly token: string; readonly error: VitrineError; readonly untilMs: number } | undefined;

  constructor(options: CentralOptions) {
    this.#options = options;
  }

  /** The ids of the other server and of those that it leads to, since the last probe. */
  get serversBehind(): readonly string[] {
    return this.#behind;
  }

  /**
   * Asks whether the server can be used: reads the token again, and looks for a ring of servers. Throws tier_failed.
   */
  async probe(): Promise<void> {
    const { serverId, token } = this.#options;
    this.#token = token();
    const refused = this.#refused;
    if (refused?.token === this.#token && performance.now() < refused.untilMs) throw refused.error;
    const reply = await this.#attempt({ method: "GET", tenant: "", patienceMs: PROBE_MS, path: TIER_PATH });
    if (reply.status === 401 || reply.status === 429) throw await this.#refusal(reply);
    if (reply.status !== 200) throw await failureOf("use server", reply);
    const behind = serversOf(await jsonOf(reply));
    if (behind === undefined) throw new VitrineError("tier_failed", "use server: its answer is not understood");
    this.#noteBehind([...new Set(behind)]);
    if (behind.includes(serverId)) {
      throw new VitrineError("tier_failed", "use server: a ring of servers: its tiers lead back to this one");
    }
  }

  /** Returns the answer, whatever its status. Throws tier_failed if there is none. */
  async send(request: CentralRequest): Promise<CentralReply> {
    const { onFailed } = this.#options;
    const path = pathOf(request);
    const attempts = request.method === "PUT" ? 1 : ATTEMPTS;
    const slow = setTimeout(onFailed, SLOW_MS);
    try {
      for (let attempt = 1;; attempt += 1) {
        try {
          const reply = await this.#attempt({ ...request, path, patienceMs: PATIENCE_MS });
          if (reply.status === 401) throw await this.#refusal(reply);
          return reply;
        } catch (error) {
          onFailed();
          if (attempt === attempts || error instanceof VitrineError) throw error;
          await wait(Math.random() * RETRY_MS * 2 ** (attempt - 1), undefined, { ref: false });
        }
      }
    } finally {
      clearTimeout(slow);
    }
  }

  #noteBehind(servers: readonly string[]): void {
    const before = this.#behind.join();
    this.#behind = servers;
    if (before !== servers.join()) this.#options.onChanged();
  }

  /** Notes that the token was refused, and returns the error; ends the answer. */
  async #refusal(reply: CentralReply): Promise<VitrineError> {
    const token = this.#token;
    const error = await failureOf("use server", reply);
    this.#refused = { token, error, untilMs: performance.now() + REFUSED_MS };
    return error;
  }

  async #attempt(
    { method, tenant, path, query = {}, headers, body, patienceMs, onBegin }: CentralRequest & {
      readonly path: string;
      readonly patienceMs: number;
    },
  ): Promise<CentralReply> {
    const { settings: { origin }, serverId } = this.#options;
    const url = new URL(path, origin);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const giveUp = new AbortController();
    const late = () => giveUp.abort(new Error(`no progress for ${patienceMs / 1000} s`));
    let timer: ReturnType<typeof setTimeout> | undefined;
    const rest = () => clearTimeout(timer);
    const patience: Patience = {
      rest,
      wait() {
        rest();
        timer = setTimeout(late, patienceMs);
      },
    };
    patience.wait();
    onBegin?.(patience);
    try {
      const response = await fetch(url, {
        method,
        headers: {
          ...headers,
          "vitrine-tenant": tenant,
          via: `1.1 ${serverId}`,
          ...(this.#token === "" ? {} : { authorization: `Bearer ${this.#token}` }),
        },
        redirect: "manual",
        signal: giveUp.signal,
        ...(body === undefined ? {} : { body }),
        ...(body instanceof ReadableStream ? { duplex: "half" } : {}),
      });
      rest();
      const { status, body: answer } = response;
      const end = () => {
        rest();
        giveUp.abort();
      };
      const reply: CentralReply = { status, headers: response.headers, body: answer, patience, end };
      if (response.headers.get(TIER_FIELDS.server) === null) throw await strangerOf(origin, reply);
      return reply;
    } catch (error) {
      rest();
      throw error;
    }
  }
}

function pathOf({ method, key }: CentralRequest): string {
  if (method === "POST") return TIER_LOOKUP;
  return key === undefined ? TIER_OBJECTS : `${TIER_OBJECTS}/${toBase64(key)}`;
}

/** The key and the tenant of an object at the other server. Throws tier_failed for a tenant that it is not for. */
export function addressOf(
  { prefix, tenant }: HttpSettings,
  object: Pick<ObjectKey, "tenant" | "key">,
): { readonly key: string; readonly tenant: string } {
  if (tenant !== undefined && object.tenant !== "") {
    throw new VitrineError("tier_failed", "ask server: its tier with tenant=… is for the default tenant alone");
  }
  return { key: prefix + object.key, tenant: tenant ?? object.tenant };
}

/** Reads the JSON of an answer, and ends it. Throws tier_failed. */
export async function jsonOf(reply: CentralReply): Promise<unknown> {
  try {
    return await new Response(reply.body).json();
  } catch (cause) {
    throw new VitrineError("tier_failed", "read answer: it is not JSON, or broke off", { cause });
  } finally {
    reply.end();
  }
}

/** The error for an answer that the request did not expect; ends it. */
export async function failureOf(action: string, reply: CentralReply): Promise<VitrineError> {
  const text = await textOf(reply);
  const isFull = reply.status === 507 || reply.status === 413;
  return new VitrineError(isFull ? "no_room" : "tier_failed", `${action}: the server answered ${reply.status}${text}`);
}

/** The error for an answer that names no server: a refusal of a Vitrine that comes earlier, or of something else. */
async function strangerOf(origin: string, reply: CentralReply): Promise<VitrineError> {
  const text = await textOf(reply) || ": it is no Vitrine, or one that cannot be a tier";
  return new VitrineError("tier_failed", `use server: ${origin} answered ${reply.status}${text}`);
}

/** The reason in a refusal, after a colon; "" if it has none. */
async function textOf(reply: CentralReply): Promise<string> {
  const reason = fromBase64(reply.headers.get(TIER_FIELDS.reason) ?? "") ?? "";
  try {
    if (reason !== "") return `: ${reason}`;
    const text = (await new Response(reply.body).text()).slice(0, MAX_PROBLEM_LENGTH);
    const problem: unknown = JSON.parse(text);
    const detail = typeof problem === "object" && problem !== null && "detail" in problem ? problem.detail : undefined;
    return typeof detail === "string" ? `: ${detail}` : "";
  } catch {
    return "";
  } finally {
    reply.end();
  }
}

function serversOf(answer: unknown): readonly string[] | undefined {
  if (typeof answer !== "object" || answer === null || !("servers" in answer)) return undefined;
  const { servers } = answer;
  if (!Array.isArray(servers) || !servers.every((each) => typeof each === "string")) return undefined;
  return servers;
}
