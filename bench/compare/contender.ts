/** One load, for one round. */
export interface Load {
  readonly method: "GET" | "PUT";
  /** The object's path at Vitrine; other protocols take it as the key. */
  readonly path: string;
  readonly sizeBytes: number;
  /** PUT: so many keys are written in turn. */
  readonly keys: number;
  readonly connections: number;
  readonly seconds: number;
}

/** What one round of a load showed. */
export interface Round {
  /** Requests a second. */
  readonly rate: number;
  /** The server's processor time for a request, user and system. */
  readonly cpuUs: number;
}

/** A server that was started, and the load generator that speaks its protocol. */
export interface Contender {
  /** Whose place it takes, if the server that is compared with cannot be had. */
  readonly standsInFor?: string;
  /** Throws if a request failed. */
  measure(load: Load): Promise<Round>;
}

/** The path and size of an object that is read. */
export interface StoredObject {
  readonly path: string;
  readonly sizeBytes: number;
}

/** How a server is started. */
export interface StartOptions {
  /** The command before its own, which keeps it on its core. */
  readonly prefix: readonly string[];
  /** A folder in memory. */
  readonly folder: string;
  /** What it has to have. */
  readonly objects: readonly StoredObject[];
}
