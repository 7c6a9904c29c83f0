import { resolve } from "node:path";
import { badUrl, type TierUrl } from "../url.ts";

/** The topology of the engines. */
export type RedisKind = "single" | "cluster" | "sentinel";

/** The address of an engine or a sentinel. */
export interface RedisNode {
  readonly host: string;
  readonly port: number;
}

/** The user that a connection logs in as. */
export interface RedisUser {
  /** Missing: the engine's default user. */
  readonly username?: string;
  readonly password?: string;
}

/** The settings of a tier in a Valkey or Redis, from its URL. */
export interface RedisSettings {
  readonly kind: RedisKind;
  /** The engine; or some nodes of the cluster, which know the others; or the sentinels. */
  readonly nodes: readonly RedisNode[];
  readonly tls: boolean;
  /** A file of CA certificates to trust instead of the system's. */
  readonly caPath?: string;
  readonly user: RedisUser;
  readonly database: number;
  /** The prefix of all names. */
  readonly prefix: string;
  /** True if changes are logged, and those of other servers followed. */
  readonly isCoherent: boolean;
  /** The sentinels' name of the master; "" without sentinels. */
  readonly master: string;
  /** The user that logs in to the sentinels. */
  readonly sentinelUser: RedisUser;
}

const DEFAULT_PORTS: Readonly<Record<RedisKind, number>> = { single: 6379, cluster: 6379, sentinel: 26_379 };

/**
 * Parses `user:password@host:port[,host:port…][/database]`. Parameters: `prefix` (default "vitrine"), `coherence`
 * (default "on"), `ca`, and for
 * sentinels `master` (default "mymaster"), `sentinel_user`, `sentinel_password`. Throws bad_request.
 */
export function redisSettings(url: TierUrl, { kind, tls }: Pick<RedisSettings, "kind" | "tls">): RedisSettings {
  const { scheme } = url;
  const match = /^(?:([^@/]*)@)?([^@/]*)(?:\/(\d*))?$/.exec(url.rawPath);
  if (match === null) throw badUrl(`${scheme} must look like ${scheme}//user:password@host:port/0`);
  const [, user = "", hosts = "", database = ""] = match;
  if (database !== "" && kind === "cluster") throw badUrl(`${scheme} a cluster has no databases: ${database}`);
  if (url.take("max") !== undefined) {
    throw badUrl(`${scheme} max is not for this tier: the engine's own maxmemory and maxmemory-policy are its limit`);
  }
  const prefix = url.take("prefix") ?? "vitrine";
  if (!/^[\w.:-]{1,64}$/.test(prefix)) throw badUrl(`${scheme} prefix must be 1-64 of A-Z a-z 0-9 _ . : -: ${prefix}`);
  const ca = url.take("ca");
  if (ca !== undefined && !tls) throw badUrl(`${scheme} ca is for TLS alone: use rediss`);
  const nodes = hosts.split(",").map((text) => nodeOf(scheme, text, DEFAULT_PORTS[kind]));
  if (kind === "single" && nodes.length > 1) throw badUrl(`${scheme} takes one host: ${hosts}`);
  const sentinel = kind === "sentinel";
  return {
    kind,
    tls,
    nodes,
    prefix,
    isCoherent: url.takeSwitch("coherence", true),
    ...(ca === undefined ? {} : { caPath: resolve(ca) }),
    user: userOf(scheme, user),
    database: Number(database),
    master: sentinel ? url.take("master") ?? "mymaster" : "",
    sentinelUser: sentinel ? credentials(url.take("sentinel_user"), url.take("sentinel_password")) : {},
  };
}

/** Identifies the place where the tier stores its objects, so that no place is used twice. The user does not matter. */
export function redisStoreId({ kind, nodes, database, master, prefix }: RedisSettings): string {
  const hosts = nodes.map(({ host, port }) => `${host.toLowerCase()}:${port}`).toSorted();
  return `redis ${kind} ${hosts.join(",")} ${master} ${database} ${prefix}`;
}

function nodeOf(scheme: string, text: string, defaultPort: number): RedisNode {
  const match = /^(\[[0-9A-Fa-f:.]+\]|[^:[\]\s]+)(?::(\d{1,5}))?$/.exec(text);
  const port = Number(match?.[2] ?? defaultPort);
  if (match === null || port < 1 || port > 65_535) throw badUrl(`${scheme} not a host or host:port: ${text}`);
  return { host: (match[1] ?? "").replace(/^\[|\]$/g, ""), port };
}

function userOf(scheme: string, text: string): RedisUser {
  const colon = text.indexOf(":");
  const [name, password] = colon < 0 ? [text, ""] : [text.slice(0, colon), text.slice(colon + 1)];
  try {
    return credentials(decodeURIComponent(name), decodeURIComponent(password));
  } catch (cause) {
    throw badUrl(`${scheme} bad percent-encoding in user or password`, cause);
  }
}

function credentials(username: string | undefined, password: string | undefined): RedisUser {
  return {
    ...(username === undefined || username === "" ? {} : { username }),
    ...(password === undefined || password === "" ? {} : { password }),
  };
}
