import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ensureInstalled } from "../tools/debian.ts";
import { C_SOURCES, writeCSources } from "./c_sources.ts";
import type { Target } from "./target.ts";

/** ccache over plain objects, with an empty cache of its own for each run. */
export async function ccache(target: Target): Promise<void> {
  const { checks } = target;
  ensureInstalled({ ccache: "ccache", gcc: "gcc" });
  writeCSources(target);
  const compile = (token = target.token) => {
    const env = {
      CCACHE_DIR: join(target.folder, "local"),
      CCACHE_CONFIGPATH: "/nonexistent",
      CCACHE_REMOTE_STORAGE: `${target.url}/v1/objects/ccache|bearer-token=${token}`,
    };
    rmSync(env.CCACHE_DIR, { recursive: true, force: true });
    for (const name of C_SOURCES) rmSync(join(target.folder, `${name}.o`), { force: true });
    const codes = C_SOURCES.map((name) =>
      target.build("ccache", ["gcc", "-c", `${name}.c`, "-o", `${name}.o`], env).code
    );
    const stats = target.build("ccache", ["--print-stats"], env).text;
    const stat = (name: string) => Number(new RegExp(`^${name}\t(\\d+)$`, "m").exec(stats)?.[1]);
    return {
      codes,
      objects: C_SOURCES.filter((name) => existsSync(join(target.folder, `${name}.o`))).length,
      compiled: stat("cache_miss"),
      hits: stat("remote_storage_read_hit"),
      misses: stat("remote_storage_read_miss"),
      errors: stat("remote_storage_error"),
    };
  };
  const step = async (name: string, wanted: object, requests: object) => {
    let ran: object = {};
    const counted = await target.requests("/v1/objects/{key}", () => ran = compile());
    checks.equal(`ccache: ${name}`, {
      actual: { ...ran, requests: counted },
      expected: { codes: [0, 0, 0], objects: 3, errors: 0, ...wanted, requests },
    });
  };
  const route = "/v1/objects/{key}";
  const cold = { [`GET ${route} 404`]: 6, [`PUT ${route} 201`]: 6 };
  const warm = { [`GET ${route} 200`]: 6 };
  await step("a cold build stores", { compiled: 3, hits: 0, misses: 6 }, cold);
  await step("a warm build hits", { compiled: 0, hits: 6, misses: 0 }, warm);
  checks.equal("ccache: the entries are below its prefix", { actual: await target.remove("ccache/"), expected: 6 });
  await step("what is missing is compiled and stored", { compiled: 3, hits: 0, misses: 6 }, cold);
  checks.equal("ccache: the entries are damaged", { actual: await target.damage("ccache/"), expected: 6 });
  await step("what is damaged is compiled and stored", { compiled: 3, hits: 0, misses: 6 }, cold);
  const { codes, objects, hits } = compile("wrong");
  checks.equal("ccache: a wrong token does not break the build", {
    actual: { codes, objects, hits },
    expected: { codes: [0, 0, 0], objects: 3, hits: 0 },
  });
}
