import {
  closeSync,
  copyFileSync,
  fstatSync,
  openSync,
  readdirSync,
  readSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { contentOf } from "../kill/content.ts";
import type { Checks } from "../support/checks.ts";
import { type Answer, Client } from "../support/http/client.ts";
import { inParallel } from "../support/in_parallel.ts";
import { Ledger } from "../support/ledger.ts";
import { objectPath } from "../support/keys.ts";
import { Random } from "../support/random.ts";
import type { SuiteRun } from "../support/run_suite.ts";
import { listObjects } from "../support/server_api.ts";
import { ServerProcess } from "../support/server_process.ts";
import type { PartOptions } from "./part.ts";

const KEYS = 48;
const CONCURRENCY = 8;
/** An answer that takes longer than this is a hang. */
const PATIENCE_MS = 20_000;
/** A load may break off at the damage, and the next one may meet the tier while its index is built again. */
const ATTEMPTS = 3;
const HARMS = ["flip", "flip", "flip", "overwrite", "overwrite", "cut", "empty", "swap"] as const;

/** What the rounds did and saw. */
interface Tally {
  changes: number;
  right: number;
  missed: number;
  rebuilt: number;
}

/** Parameters of a tier's URL, by the way in which its objects are stored. */
function tiers(folder: string): Readonly<Record<string, string>> {
  const keyFile = join(folder, "keys");
  writeFileSync(keyFile, `${"5a".repeat(32)}\n`);
  const encrypt = `encrypt=aes-gcm&key-file=${keyFile}`;
  return { plain: "", compressed: "compress=zstd", encrypted: encrypt, both: `compress=zstd&${encrypt}` };
}

/** All files of a tier, but for the empty ones. */
function filesOf(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Changes a file in place: bits, a stretch, its length, or all of it for another one's content. */
function harm(file: string, other: string, random: Random): string {
  const kind = HARMS[random.below(HARMS.length)] ?? "flip";
  if (kind === "swap") {
    copyFileSync(other, file);
    return kind;
  }
  const descriptor = openSync(file, "r+");
  const { size } = fstatSync(descriptor);
  for (let times = size === 0 ? 0 : 1 + random.below(4); times > 0; times -= 1) {
    const at = random.below(size);
    const bytes = kind === "overwrite" ? random.bytes(Math.min(size - at, 1 + random.below(4096))) : new Uint8Array(1);
    if (kind === "flip") {
      readSync(descriptor, bytes, 0, 1, at);
      bytes[0] = (bytes[0] ?? 0) ^ (1 << random.below(8));
    }
    if (kind === "flip" || kind === "overwrite") writeSync(descriptor, bytes, 0, bytes.length, at);
  }
  closeSync(descriptor);
  if (kind === "cut") truncateSync(file, random.below(size + 1));
  if (kind === "empty") truncateSync(file, 0);
  return kind;
}

/** One folder that is filled, damaged at rest, read, damaged while it is read, and used again. */
class Round {
  readonly #run: SuiteRun;
  readonly #tier: { readonly name: string; readonly folder: string; readonly parameters: string };
  readonly #random: Random;
  readonly #tally: Tally;

  constructor(
    run: SuiteRun,
    tier: { readonly name: string; readonly folder: string; readonly parameters: string },
    options: {
      readonly random: Random;
      readonly tally: Tally;
    },
  ) {
    this.#run = run;
    this.#tier = tier;
    this.#random = options.random;
    this.#tally = options.tally;
  }

  async run(): Promise<void> {
    const { checks } = this.#run;
    const keys = Array.from({ length: KEYS }, (_, i) => `${this.#tier.name}/key ${i}`);
    const first = await this.#start();
    await this.#with(first, (client) => inParallel(keys, CONCURRENCY, (key) => this.#put(client, key)));
    checks.equal("exit code", { actual: await first.stop(), expected: 0 });

    const done = this.#harm(1 + this.#random.below(6));
    const server = await this.#start();
    await this.#with(server, async (client) => {
      const half = this.#random.shuffled(keys).slice(0, KEYS / 2);
      await inParallel(half, CONCURRENCY, (key) => this.#read(client, key, done));
      done.push(...this.#harm(1 + this.#random.below(6)));
      await inParallel(keys, CONCURRENCY, (key) => this.#read(client, key, done));
      await listObjects(client, "");
      await inParallel(keys, CONCURRENCY, (key) => this.#put(client, key));
      for (const key of keys.slice(0, 4)) await this.#read(client, key, []);
    });
    const { output } = server;
    this.#tally.rebuilt += output.split("the index is damaged").length - 1;
    checks.that("no worker is replaced", !output.includes("a worker is gone"), () => output.slice(-2000));
    checks.equal(`exit code after ${done.join(", ")}`, { actual: await server.stop(), expected: 0 });
  }

  async #start(): Promise<ServerProcess> {
    const { folder, parameters } = this.#tier;
    const l2 = `file://${folder}?${parameters}${parameters === "" ? "" : "&"}max=512MiB`;
    return await ServerProcess.start({
      runtime: this.#run.runtime,
      flags: { l2, write: "through", workers: "2", "l1-size": "16MiB", "scrub-rate": "1GiB" },
    });
  }

  async #with(server: ServerProcess, work: (client: Client) => Promise<void>): Promise<void> {
    const client = new Client(server.address, new Ledger());
    try {
      await work(client);
    } finally {
      client.close();
    }
  }

  #harm(times: number): string[] {
    const files = filesOf(this.#tier.folder);
    return Array.from({ length: times }, () => {
      // Every second time the index or a segment, of which there are few.
      const some = files.filter((file) => /index\.sqlite$|segment$/.test(file));
      const pool = this.#random.below(2) === 0 ? files : some;
      const [file = "", other = ""] = [pool, files].map((each) => each[this.#random.below(each.length)]);
      this.#tally.changes += 1;
      return `${harm(file, other, this.#random)} ${file.slice(this.#tier.folder.length + 1)}`;
    });
  }

  async #put(client: Client, key: string): Promise<void> {
    const headers = { "content-type": typeOf(key) };
    const { status } = await client.request({ method: "PUT", path: objectPath(key), headers, body: contentOf(key, 1) });
    this.#run.checks.that(`PUT ${key}`, status === 200 || status === 201, () => String(status));
  }

  /** The object as it was stored, or a miss. */
  async #read(client: Client, key: string, done: readonly string[]): Promise<void> {
    const { checks } = this.#run;
    let told = "nothing";
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const startMs = performance.now();
      const answer = await client.request({ method: "GET", path: objectPath(key) }).catch((error: unknown) => {
        told = String(error);
      });
      const ms = performance.now() - startMs;
      checks.that(`GET ${key} is answered in time`, ms < PATIENCE_MS, () => `${Math.round(ms)} ms`);
      if (answer === undefined) continue;
      told = `${answer.status} ${new TextDecoder().decode(answer.body.subarray(0, 500))}`;
      if (answer.status === 404) this.#tally.missed += 1;
      if (answer.status === 200) this.#tally.right += 1;
      if (answer.status === 200) checkWhole(key, answer, { checks, done });
      if (answer.status === 200 || answer.status === 404) return;
    }
    checks.that(`GET ${key} after ${done.join(", ")}`, false, () => told);
  }
}

function typeOf(key: string): string {
  return `application/x-${key.replaceAll(/\W/g, "-")}`;
}

function checkWhole(
  key: string,
  { headers, body }: Answer,
  { checks, done }: { readonly checks: Checks; readonly done: readonly string[] },
): void {
  checks.that(
    `bytes of ${key} after ${done.join(", ")}`,
    Buffer.compare(body, contentOf(key, 1)) === 0,
    () => `${body.length} bytes`,
  );
  checks.equal(`type of ${key} after ${done.join(", ")}`, {
    actual: headers.get("content-type"),
    expected: typeOf(key),
  });
}

/** The files of a tier changed at rest and under a running server: never a wrong byte, no crash, no hang. */
export async function damage(run: SuiteRun, { seconds, seed }: PartOptions): Promise<void> {
  const tally = { changes: 0, right: 0, missed: 0, rebuilt: 0 };
  const random = new Random(seed);
  const deadlineMs = performance.now() + seconds * 1000;
  const ways = Object.entries(tiers(run.folder));
  let rounds = 0;
  for (; rounds < 2 || performance.now() < deadlineMs; rounds += 1) {
    const [name, parameters] = ways[(seed + rounds) % ways.length] ?? ["plain", ""];
    await new Round(run, { name, folder: join(run.folder, `${rounds}`), parameters }, { random, tally }).run();
  }
  const { changes, right, missed, rebuilt } = tally;
  console.log(
    `damage: ${rounds} rounds, ${changes} changes, ${right} objects right, ${missed} missed, ${rebuilt} indexes built again`,
  );
  run.checks.that("some objects are damaged, and some are not", missed > 0 && right > 0);
}
