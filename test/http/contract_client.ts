import type { EventMap, EventName } from "../../src/events/catalogue.ts";

/** What the contract may ask of the server it runs against. */
export interface ContractFixture {
  /** Sends a request to a path of the server. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  readonly limits: {
    /** The largest object the server takes. */
    readonly maxObjectBytes: number;
    /** Larger objects are not held by L1. */
    readonly l1LimitBytes: number;
    /** Larger bodies are streamed. */
    readonly copyLimitBytes: number;
  };
  /** Every event of requests, as it comes; without it the cases that look at events do not run. */
  readonly events?: EventRecorder;
  /** Whether fetch shows the framing of a socket (Content-Length by the runtime). */
  readonly overSockets: boolean;
  /** Lets time pass for the server; without it the cases that need it do not run. */
  readonly advance?: (milliseconds: number) => void;
  /** Makes every write find no room. */
  readonly setFull?: (full: boolean) => void;
  /** Makes the tiers fail. */
  readonly setFailing?: (failing: boolean) => void;
  /** Turns readiness on and off. */
  readonly setReady?: (ready: boolean) => void;
}

/** Keeps events and lets one wait for the next that fits. */
export class EventRecorder {
  readonly #seen: { readonly name: EventName; readonly fields: object }[] = [];
  #wake = () => {};
  #arrival = Promise.resolve();

  constructor() {
    this.#arm();
  }

  /** To be given to the app as `publish`. */
  readonly publish = <Name extends EventName>(name: Name, fields: EventMap[Name]): void => {
    this.#seen.push({ name, fields });
    this.#wake();
    this.#arm();
  };

  /** Forgets what came so far. */
  clear(): void {
    this.#seen.length = 0;
  }

  /** The first end of a request of this method, as soon as it is there. */
  async requestEnd(method: string): Promise<EventMap["http.request.end"]> {
    for (;;) {
      for (const { name, fields } of this.#seen) {
        if (name === "http.request.end" && isEnd(fields) && fields.method === method) return fields;
      }
      await this.#arrival;
    }
  }

  /** How many events of a name came. */
  count(name: EventName): number {
    return this.#seen.filter((each) => each.name === name).length;
  }

  /** The fields of all events of a name that came. */
  named(name: EventName): readonly object[] {
    return this.#seen.filter((each) => each.name === name).map(({ fields }) => fields);
  }

  #arm(): void {
    this.#arrival = new Promise((resolve) => this.#wake = resolve);
  }
}

function isEnd(fields: object): fields is EventMap["http.request.end"] {
  return "outcome" in fields && "method" in fields;
}

/** One tenant's client of the server: cases never see each other's objects. */
export class ContractClient {
  readonly fixture: ContractFixture;
  readonly tenant: string;

  constructor(fixture: ContractFixture, tenant: string) {
    this.fixture = fixture;
    this.tenant = tenant;
  }

  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    if (!headers.has("vitrine-tenant")) headers.set("vitrine-tenant", this.tenant);
    return this.fixture.fetch(path, { ...init, headers });
  }

  /** `key` is encoded as one segment. */
  object(method: string, key: string, init: RequestInit = {}): Promise<Response> {
    return this.fetch(`/v1/objects/${encodeURIComponent(key)}`, { ...init, method });
  }

  put(key: string, body: BodyInit, headers: Record<string, string> = {}): Promise<Response> {
    return this.object("PUT", key, { body, headers });
  }

  get(key: string, headers: Record<string, string> = {}): Promise<Response> {
    return this.object("GET", key, { headers });
  }

  head(key: string, headers: Record<string, string> = {}): Promise<Response> {
    return this.object("HEAD", key, { headers });
  }

  delete(key: string, headers: Record<string, string> = {}): Promise<Response> {
    return this.object("DELETE", key, { headers });
  }

  /** The recorder of a case that needs events. */
  get events(): EventRecorder {
    if (this.fixture.events === undefined) throw new Error("the fixture records no events");
    return this.fixture.events;
  }

  /** Stores an object that must be new and returns its ETag. */
  async create(key: string, body: BodyInit, headers: Record<string, string> = {}): Promise<string> {
    const response = await this.put(key, body, headers);
    await response.arrayBuffer();
    if (response.status !== 201) throw new Error(`create ${key}: ${response.status}`);
    return response.headers.get("etag") ?? "";
  }
}

/** One sentence of the contract. */
export interface ContractCase {
  readonly name: string;
  /** Runs only where the fixture has these. */
  readonly needs?: readonly ("events" | "advance" | "setFull" | "setFailing" | "setReady")[];
  readonly run: (client: ContractClient) => Promise<void>;
}

/** Bytes that differ from place to place. */
export function pattern(bytes: number): Uint8Array<ArrayBuffer> {
  const made = new Uint8Array(bytes);
  for (let i = 0; i < bytes; i++) made[i] = (i * 31 + (i >> 8)) & 0xff;
  return made;
}

/** The SHA-256 of bytes as base64. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return btoa(String.fromCharCode(...new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))));
}

/** Status and problem type of a refusal; reads its body. */
export async function refusal(response: Response): Promise<readonly [number, string]> {
  if (response.headers.get("content-type") !== "application/problem+json") {
    throw new Error(`read problem: ${response.status} ${await response.text()}`);
  }
  const problem = await response.json();
  if (problem.status !== response.status || problem.title === "" || !problem.instance.startsWith("/")) {
    throw new Error(`check problem: ${JSON.stringify(problem)}`);
  }
  return [response.status, problem.type];
}
