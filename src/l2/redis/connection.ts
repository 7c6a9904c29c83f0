import { readFileSync } from "node:fs";
import { createClient, createCluster, type RedisClientOptions, RESP_TYPES } from "@redis/client";
import { VitrineError } from "../../core/errors.ts";
import type { RedisNode, RedisSettings, RedisUser } from "./settings.ts";

/** Milliseconds that a connection may take to come about. */
const CONNECT_MS = 5000;
/** Milliseconds between two tries of a cluster's client to reach a node that is gone. */
const NODE_RETRY_MS = 300;

/** One connection to an engine, or to all nodes of a cluster; it is used until it breaks, and then never again. */
export interface Connection {
  /**
   * Sends one command; those sent in one turn go out together, in order. `name` is a name that it concerns. Texts in
   * the reply are Buffers.
   */
  call(name: string, args: readonly (string | Buffer)[]): Promise<unknown>;
  /** How to send a command to each of the nodes that have objects. */
  nodes(): Promise<readonly ((args: readonly string[]) => Promise<unknown>)[]>;
  /** Ends it at once; calls under way fail. */
  destroy(): void;
}

/** Connects, or throws. `onBroken` is told once if the connection breaks later. */
export type Connect = (onBroken: (cause: Error) => void) => Promise<Connection>;

/** How to connect to what the settings name. */
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
    // Who uses the connection makes a new one: where, and whether at all, may have changed.
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
  // What fails says so to those who call it.
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

/** Asks the sentinels, one after the other, where the engine is that takes writes. */
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

/** What the work gives, or a failure if it takes too long. */
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
