/** The servers that are measured, in the order of the columns. */
export const contenders = [
  "vitrine on bun",
  "with a token on bun",
  "bare Bun.serve",
  "vitrine on deno",
  "with a token on deno",
  "bare Deno.serve",
  "nginx",
] as const;

/** A server's name. */
export type Contender = (typeof contenders)[number];

/** Who takes part in a case: nginx stores nothing here, and of a token only small answers feel the cost. */
export function contendersOf({ method, sizeBytes }: BenchCase): readonly Contender[] {
  return contenders.filter((contender) => {
    if (contender === "nginx") return method === "GET";
    return !needsToken(contender) || (method === "GET" && sizeBytes <= 4096);
  });
}

/** Whether it is asked with a token. */
export function needsToken(contender: Contender): boolean {
  return contender.startsWith("with a token");
}

/** One ratio that is looked at. */
export interface Aim {
  readonly of: Contender;
  readonly to: Contender;
  readonly atLeast: number;
}

/** One kind of request. */
export interface BenchCase {
  readonly name: string;
  readonly method: "GET" | "PUT";
  readonly path: string;
  readonly sizeBytes: number;
  readonly connections: number;
  /** PUT: keys that are written in turn. */
  readonly keys: number;
  readonly aims: readonly Aim[];
}

const mib = 1024 ** 2;
const onBun = { of: "vitrine on bun", to: "bare Bun.serve" } as const;
const onDeno = { of: "vitrine on deno", to: "bare Deno.serve" } as const;
const beforeNginx = { of: "vitrine on bun", to: "nginx" } as const;
const get = { method: "GET", keys: 0 } as const;
const put = { method: "PUT" } as const;

/** Everything that is measured. An aim of 0 is only shown. */
export const cases: readonly BenchCase[] = [
  {
    ...get,
    name: "GET 4 KiB",
    path: "/v1/objects/get-4k",
    sizeBytes: 4096,
    connections: 32,
    aims: [
      { ...onBun, atLeast: 0.7 },
      { ...onDeno, atLeast: 0.6 },
      { ...beforeNginx, atLeast: 0 },
      { of: "with a token on bun", to: "vitrine on bun", atLeast: 0.95 },
      { of: "with a token on deno", to: "vitrine on deno", atLeast: 0.95 },
    ],
  },
  {
    ...get,
    name: "GET 1 MiB",
    path: "/v1/objects/get-1m",
    sizeBytes: mib,
    connections: 16,
    aims: [{ ...onBun, atLeast: 0 }, { ...onDeno, atLeast: 1 }, { ...beforeNginx, atLeast: 1.5 }],
  },
  {
    ...get,
    name: "GET 32 MiB",
    path: "/v1/objects/get-32m",
    sizeBytes: 32 * mib,
    connections: 4,
    aims: [{ ...onBun, atLeast: 0 }, { ...onDeno, atLeast: 0.6 }, { ...beforeNginx, atLeast: 1.5 }],
  },
  {
    ...put,
    name: "PUT 4 KiB",
    path: "/v1/objects/put-4k",
    sizeBytes: 4096,
    connections: 32,
    keys: 1000,
    aims: [{ ...onBun, atLeast: 0 }, { ...onDeno, atLeast: 0 }],
  },
  {
    ...put,
    name: "PUT 1 MiB",
    path: "/v1/objects/put-1m",
    sizeBytes: mib,
    connections: 16,
    keys: 32,
    aims: [{ ...onBun, atLeast: 0.8 }, { ...onDeno, atLeast: 0.6 }],
  },
];
