import { globSync } from "node:fs";
import type { Checks } from "../support/checks.ts";
import type { Client } from "../support/http/client.ts";
import { inParallel } from "../support/in_parallel.ts";
import { objectPath } from "../support/keys.ts";
import { listObjects } from "../support/server_api.ts";
import type { KeyHistory } from "./key_history.ts";

/** Where a restarted server is looked at. */
export interface VerifyOptions {
  readonly client: Client;
  readonly checks: Checks;
  /** The tier's folder. */
  readonly folder: string;
}

async function verifyKey(history: KeyHistory, { client, checks }: VerifyOptions): Promise<void> {
  const { key, acknowledged, asked } = history;
  const { status, body } = await client.request({ method: "GET", path: objectPath(key) });
  const state = history.stateOf(status === 200 ? body : undefined, acknowledged);
  checks.that(
    `GET ${key} after the restart`,
    (status === 200 || status === 404) && state !== undefined,
    () => `: status ${status}, ${body.byteLength} bytes, acknowledged ${acknowledged}, asked ${asked}`,
  );
  history.settle(state ?? acknowledged);
}

/**
 * Compares a restarted server with what was acknowledged before, key by key, in its listing and in its folder; takes
 * what it finds as the state to go on from.
 */
export async function verify(histories: readonly KeyHistory[], options: VerifyOptions): Promise<void> {
  const { client, checks, folder } = options;
  await inParallel(histories, 16, (history) => verifyKey(history, options));
  const sizes = histories.map(({ key, acknowledged }, i) =>
    [key, histories[i]?.bytesAt(acknowledged)?.byteLength] as const
  );
  const present = sizes.filter(([, sizeBytes]) => sizeBytes !== undefined);
  checks.equal("the listing after the restart", {
    actual: Object.fromEntries(await listObjects(client, "fs")),
    expected: Object.fromEntries(present),
  });
  const temps = globSync(`${folder}/**/*.tmp`);
  checks.equal("files of unfinished writes", { actual: temps.length, expected: 0 });
}
