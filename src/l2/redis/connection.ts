import { readFileSync } from "node:fs";
import { createClient, createCluster, type RedisClientOptions, RESP_TYPES } from "@redis/client";
import { VitrineError } from "../../core/errors.ts";
import type { RedisNode, RedisSettings, RedisUser } from "./settings.ts";

/** Timeout for connecting, in milliseconds. */
const CONNECT_MS = 5000;
/** Milliseconds between two attempts of a cluster's client to reconnect to a node. */
const NODE_RETRY_MS = 300;

/** A connection to an engine, or to all nodes of a cluster. Once broken it is never used again. */
export interface Connection {
  /**
   * Sends one command; commands of one turn of the event loop go out together, in order. `name` is any name that the
   * command uses. Strings in the reply are Buffers.
   */
  call(name: string, args: readonly (string | Buffer)[]): Promise<unknown>;
  /** Returns a function for each node with objects, which sends a command to it. */
  nodes(): Promise<readonly ((args: readonly string[]) => Promise<unknown>)[]>;
  /** Closes the connection at once; running calls fail. */
  destroy(): void;
}

/** Connects, or throws. `onBroken` is called if the connection breaks later. */
export type Connect = (onBroken: (cause: Error) => void) => Promise<Connection>;

/** Returns a function that connects to the engine of the settings. */
export function connector(settings: RedisSettings): Connect {
  if (settings.kind === "cluster") return () => connectCluster(settings);
  if (settings.kind === "sentinel") {
    return async (onBroken) => await connectSingle(await findMaster(settings), { settings, onBroken });
  }
  const [node] = settings.nodes;
  if (node === undefined) throw new RangeError("connect to engine: no host");
  return (onBroken) => connectSingle(node, { settings, onBroken });
}

const replyTypes = { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } } as const;

type ClientOptions = Pick<
  RedisClientOptions,
  "username" | "password" | "disableOfflineQueue" | "maintNotifications" | "disableClientInfo"
>;

function optionsOf(user: RedisUser): ClientOptions {
  return { ...user, disableOfflineQueue: true, maintNotifications: "disabled", disableClientInfo: true };
}

function tlsOf({ tls, caPath }: RedisSettings): { readonly tls?: true; readonly ca?: string } {
  if (!tls) return {};
  return { tls: true, ...(caPath === undefined ? {} : { ca: readFileSync(caPath, "utf8") }) };
}

async function connectSingle(
  node: RedisNode,
  { settings, user = settings.user, database = settings.database, onBroken }: {
    readonly settings: RedisSettings;
    readonly user?: RedisUser;
    readonly database?: number;
    readonly onBroken: (cause: Error) => void;
  },
): Promise<Connection> {
  const client = createClient({
    ...optionsOf(user),
    database,
    // The user of the connection opens a new one, because the address, and whether to connect at all, may have changed.
    socket: { ...node, ...tlsOf(settings), connectTimeout: CONNECT_MS, reconnectStrategy: false },
  });
  let isConnected = false;
  const broken = (cause: Error): void => {
    if (isConnected) onBroken(cause);
  };
  client.on("error", broken);
  client.on("end", () => broken(new Error("the connection was closed")));
  try {
    await within(CONNECT_MS, client.connect());
    isConnected = true;
  } catch (cause) {
    client.destroy();
    throw cause;
  }
  return {
    call: (_name, args) => client.sendCommand([...args], replyTypes),
    nodes: () => Promise.resolve([(args) => client.sendCommand([...args], replyTypes)]),
    destroy: () => client.destroy(),
  };
}

async function connectCluster(settings: RedisSettings): Promise<Connection> {
  const socket = { ...tlsOf(settings), connectTimeout: CONNECT_MS };
  const cluster = createCluster({
    rootNodes: settings.nodes.map((node) => ({ socket: { ...node, ...socket, reconnectStrategy: false } })),
    defaults: { ...optionsOf(settings.user), socket: { ...socket, reconnectStrategy: NODE_RETRY_MS } },
    minimizeConnections: true,
    maxCommandRedirections: 3,
  });
  // Failing calls report their own errors.
  cluster.on("error", () => {});
  try {
    await within(CONNECT_MS, cluster.connect());
  } catch (cause) {
    cluster.destroy();
    throw cause;
  }
  return {
    call: (name, args) => cluster.sendCommand(name, false, [...args], replyTypes),
    async nodes() {
      const clients = await Promise.all(cluster.masters.map((node) => cluster.nodeClient(node)));
      return clients.map((client) => (args) => client.sendCommand([...args], replyTypes));
    },
    destroy: () => cluster.destroy(),
  };
}

/** Asks the sentinels, one after the other, for the address of the master. */
async function findMaster(settings: RedisSettings): Promise<RedisNode> {
  const failures: unknown[] = [];
  for (const node of settings.nodes) {
    let connection: Connection | undefined;
    try {
      const user = settings.sentinelUser;
      connection = await connectSingle(node, { settings, user, database: 0, onBroken: () => {} });
      const asking = connection.call("", ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", settings.master]);
      const answer: unknown = await within(CONNECT_MS, asking);
      if (!Array.isArray(answer)) throw new Error(`ask sentinel: no such master: ${settings.master}`);
      return { host: String(answer[0]), port: Number(answer[1]) };
    } catch (cause) {
      failures.push(cause);
    } finally {
      connection?.destroy();
    }
  }
  const [first] = failures;
  throw first instanceof Error ? first : new VitrineError("tier_failed", "ask sentinels: none answered");
}

/** Returns the result of the work, or fails if it takes too long. */
export async function within<T>(timeoutMs: number, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
