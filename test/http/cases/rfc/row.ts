import { expect } from "bun:test";
import { type ContractCase, pattern } from "../../contract_client.ts";

/**
 * One line of a table: a request about the object `a`, which holds ten bytes (or `size`) unless it is a PUT of a new
 * one, and the status it has to get.
 */
export interface Row {
  /** The number and section of the RFC, e.g. "9110 13.1.1". */
  readonly rfc: string;
  readonly what: string;
  readonly method?: "GET" | "HEAD" | "PUT" | "DELETE";
  /** Of the request; `ETAG` in a value stands for the object's. */
  readonly headers: Readonly<Record<string, string>>;
  readonly status: number;
  /** Fields of the answer to it; null: not there. */
  readonly answer?: Readonly<Record<string, string | null>>;
  /** Fields of a HEAD of the object afterwards. */
  readonly after?: Readonly<Record<string, string | null>>;
  /** The `max-age` of a GET afterwards, other directives aside. */
  readonly maxAge?: number | null;
  readonly body?: string;
  readonly size?: number;
  /** True if there is no object before. */
  readonly isNew?: true;
}

function shown({ rfc, what, method = "GET", headers, status }: Row): string {
  const fields = Object.entries(headers).map(([name, value]) =>
    `${name}: ${value.length > 50 ? `${value.slice(0, 50)}…` : value}`
  );
  return `RFC ${rfc}: ${method} with ${fields.join(" · ")} answers ${status}, because ${what}`;
}

/** The rows as cases of the contract. */
export function cases(rows: readonly Row[]): readonly ContractCase[] {
  return rows.map((row): ContractCase => ({
    name: shown(row),
    async run(client) {
      const etag = row.isNew === true ? "" : await client.create("a", "0123456789".slice(0, row.size));
      const headers = Object.fromEntries(
        Object.entries(row.headers).map(([name, value]) => [name, value.replaceAll("ETAG", etag)]),
      );
      const { method = "GET" } = row;
      const init = { headers, ...(method === "PUT" ? { body: pattern(10) } : {}) };
      const response = await client.object(method, "a", init);
      expect(response.status).toBe(row.status);
      for (const [name, value] of Object.entries(row.answer ?? {})) {
        expect([name, response.headers.get(name)]).toEqual([name, value]);
      }
      const body = await response.text();
      if (row.body !== undefined) expect(body).toBe(row.body);
      const after = await client.head("a");
      if (row.maxAge !== undefined) {
        const [, seconds] = /^max-age=(\d+)/.exec(after.headers.get("cache-control") ?? "") ?? [];
        expect(seconds ?? null).toBe(row.maxAge === null ? null : String(row.maxAge));
      }
      if (row.after === undefined) return;
      for (const [name, value] of Object.entries(row.after)) {
        expect([name, after.headers.get(name)]).toEqual([name, value]);
      }
    },
  }));
}
