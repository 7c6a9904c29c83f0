import type { Checks } from "../support/checks.ts";
import type { Client } from "../support/http/client.ts";
import { objectPath } from "../support/keys.ts";
import type { Random } from "../support/random.ts";
import type { KeyHistory, WriteKind } from "./key_history.ts";

/** A load on a server that will go away. */
export interface LoadOptions {
  readonly client: Client;
  readonly histories: readonly KeyHistory[];
  readonly random: Random;
  readonly checks: Checks;
  readonly concurrency: number;
  /** Called once, when this many writes have been acknowledged; the load goes on until the server refuses. */
  readonly acknowledgements: number;
  readonly onReached: () => void;
}

const refused = new Set([503]);

/**
 * Writes, deletes and reads random keys until the server is gone or shuts down. Returns how many writes were
 * acknowledged.
 */
export async function runLoad(options: LoadOptions): Promise<number> {
  const { client, histories, random, checks } = options;
  const busy = new Set<KeyHistory>();
  let acknowledged = 0;
  const server = { gone: false };

  const write = async (history: KeyHistory, kind: WriteKind) => {
    const before = history.bytesAt(history.acknowledged);
    const number = history.begin(kind);
    const body = history.bytesAt(number);
    const method = kind === "put" ? "PUT" : "DELETE";
    const { status } = await client.request({ method, path: objectPath(history.key), ...(body && { body }) });
    if (refused.has(status)) {
      server.gone = true;
      return;
    }
    const present = before !== undefined;
    const expected = kind === "put" ? (present ? 200 : 201) : (present ? 204 : 404);
    checks.equal(`${method} ${history.key}, write ${number}`, { actual: status, expected });
    history.acknowledge();
    acknowledged += 1;
    if (acknowledged === options.acknowledgements) options.onReached();
  };

  const read = async (history: KeyHistory) => {
    const oldest = history.acknowledged;
    const { status, body } = await client.request({ method: "GET", path: objectPath(history.key) });
    if (refused.has(status)) {
      server.gone = true;
      return;
    }
    const found = status === 200 ? body : undefined;
    checks.that(
      `GET ${history.key} during the load`,
      (status === 200 || status === 404) && history.stateOf(found, oldest) !== undefined,
      () => `: status ${status}, ${body.byteLength} bytes, none of the states ${oldest} to ${history.asked}`,
    );
  };

  const worker = async () => {
    while (!server.gone) {
      const history = histories[random.below(histories.length)];
      const dice = random.below(100);
      if (history === undefined) return;
      if (dice < 30 || busy.has(history)) {
        await read(history);
        continue;
      }
      busy.add(history);
      await write(history, dice < 45 ? "delete" : "put");
      busy.delete(history);
    }
  };

  // A connection that breaks is how such a load ends; what it asked for last stays unacknowledged.
  const ended = async () => {
    try {
      await worker();
    } catch {
      server.gone = true;
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, ended));
  return acknowledged;
}
