import type { RuntimeName } from "../../test/e2e/support/server_process.ts";
import type { Load } from "./contender.ts";

/** The servers that are measured, in the order in which they take turns: what is compared stands close together. */
export const contenderNames = [
  "bare Bun.serve",
  "vitrine on bun",
  "without observability on bun",
  "with a token on bun",
  "bare Deno.serve",
  "vitrine on deno",
  "without observability on deno",
  "with a token on deno",
  "two workers on bun",
  "two threads of Bun.serve",
  "two workers on deno",
  "two threads of Deno.serve",
  "nginx",
  "redis-server",
  "bazel-remote",
  "varnish",
  "memcached",
] as const;

/** A server's name. */
export type ContenderName = (typeof contenderNames)[number];

/** One ratio that is looked at: how much less processor time `of` takes than `to`. */
export interface Aim {
  readonly runtime: RuntimeName;
  readonly of: ContenderName;
  readonly to: ContenderName;
  /** The least ratio (default: it is only shown). */
  readonly atLeast?: number | undefined;
  /** The bare server whose own ratio to `to` stands beside. */
  readonly bare?: ContenderName;
  /** True if `atLeast` is a part of that ratio. */
  readonly ofBare?: boolean;
  /** Why it is missed, if it is and that is known. */
  readonly why?: string;
}

/** One kind of request. */
export interface BenchCase extends Omit<Load, "seconds"> {
  readonly name: string;
  readonly aims: readonly Aim[];
}

const bareServers: Readonly<Record<RuntimeName, ContenderName>> = {
  bun: "bare Bun.serve",
  deno: "bare Deno.serve",
};

const bareThreads: Readonly<Record<RuntimeName, ContenderName>> = {
  bun: "two threads of Bun.serve",
  deno: "two threads of Deno.serve",
};

/** The contenders of a case. */
export function contendersOf({ aims }: BenchCase): readonly ContenderName[] {
  const named = new Set(aims.flatMap(({ of, to, bare }) => [of, to, bare]));
  return contenderNames.filter((name) => named.has(name));
}

type Least = readonly [bun: number, deno: number];
type Rest = Pick<Aim, "ofBare" | "why">;
const runtimes = ["bun", "deno"] as const;

function vitrineTo(to: ContenderName | "bare", least?: Least, rest: Rest = {}): readonly Aim[] {
  return runtimes.map((runtime, index) => ({
    runtime,
    of: `vitrine on ${runtime}`,
    ...(to === "bare" ? { to: bareServers[runtime] } : { to, bare: bareServers[runtime] }),
    atLeast: least?.[index],
    ...rest,
  }));
}

function variants(
  aim: (runtime: RuntimeName) => { readonly of: ContenderName; readonly to: ContenderName },
  least?: Least,
): readonly Aim[] {
  return runtimes.map((runtime, index) => ({ runtime, ...aim(runtime), atLeast: least?.[index] }));
}

const mib = 1024 ** 2;
const hitDetails =
  "most of the difference to the bare server is counting events, reading request.headers and request.url, and the look-up";
const sendfile =
  "nginx sends the file's pages without a copy (sendfile), and both runtimes copy a body into the socket";
const putDetails = 'the profile is in "What a PUT of 4 KiB costs"';

/** Everything that is measured; the aims are those of the issue about speed. */
export const cases: readonly BenchCase[] = [
  {
    name: "GET 4 KiB",
    method: "GET",
    path: "/v1/objects/get-4k",
    sizeBytes: 4096,
    keys: 0,
    connections: 32,
    aims: [
      ...vitrineTo("bare", [0.88, 0.8], { why: hitDetails }),
      ...vitrineTo("nginx"),
      ...vitrineTo("redis-server", [0.7, 0.4], { why: hitDetails }),
      ...vitrineTo("bazel-remote", [4, 2]),
      ...vitrineTo("varnish"),
      ...vitrineTo("memcached"),
      ...variants((runtime) => ({ of: `with a token on ${runtime}`, to: `vitrine on ${runtime}` }), [0.95, 0.95]),
      ...variants(
        (runtime) => ({ of: `vitrine on ${runtime}`, to: `without observability on ${runtime}` }),
        [0.97, 0.97],
      ),
      ...variants((runtime) => ({ of: `two workers on ${runtime}`, to: `vitrine on ${runtime}` }), [0.91, 0.91]),
      ...variants((runtime) => ({ of: bareThreads[runtime], to: bareServers[runtime] })),
    ],
  },
  {
    name: "GET 1 MiB",
    method: "GET",
    path: "/v1/objects/get-1m",
    sizeBytes: mib,
    keys: 0,
    connections: 16,
    aims: [
      ...vitrineTo("bare"),
      ...vitrineTo("nginx", [1.5, 1], { why: sendfile }),
      ...vitrineTo("redis-server", [2, 1.2]),
      ...vitrineTo("bazel-remote", [3, 2]),
      ...vitrineTo("varnish"),
    ],
  },
  {
    name: "GET 32 MiB",
    method: "GET",
    path: "/v1/objects/get-32m",
    sizeBytes: 32 * mib,
    keys: 0,
    connections: 4,
    aims: [...vitrineTo("bare"), ...vitrineTo("nginx", [2.5, 2], { why: sendfile })],
  },
  {
    name: "PUT 4 KiB",
    method: "PUT",
    path: "/v1/objects/put-4k",
    sizeBytes: 4096,
    keys: 1000,
    connections: 32,
    aims: [
      ...vitrineTo("bare", [0.8, 0.75], { why: putDetails }),
      ...vitrineTo("redis-server", [0.8, 0.75], { ofBare: true, why: putDetails }),
    ],
  },
  {
    name: "PUT 1 MiB",
    method: "PUT",
    path: "/v1/objects/put-1m",
    sizeBytes: mib,
    keys: 32,
    connections: 16,
    aims: [
      ...vitrineTo("bare", [0.9, 0.9], { why: putDetails }),
      ...vitrineTo("redis-server", [0.9, 0.8], { ofBare: true, why: putDetails }),
    ],
  },
];
