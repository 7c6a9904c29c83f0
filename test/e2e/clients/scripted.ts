import { besideNodeClients } from "../tools/build_clients.ts";
import type { Target } from "./target.ts";

const SCRIPTS = "test/e2e/clients/scripts";

function script(target: Target, name: string, { path, step }: { readonly path: string; readonly step: string }): void {
  const env = { STORE_URL: target.url + path, STORE_TOKEN: target.token, STORE_STEP: step };
  const { code, text } = target.build("node", [besideNodeClients(`${SCRIPTS}/${name}_client.mjs`)], env);
  target.checks.that(`${name}: ${step}`, code === 0 && text.trim() === "ok", () => text);
}

/** unstorage's HTTP driver. */
export async function unstorage(target: Target): Promise<void> {
  const route = "/unstorage/{store}/{key}";
  const requests = await target.requests("/unstorage/", () => {
    script(target, "unstorage", { path: "/unstorage/app", step: "does what it does with other drivers" });
  });
  target.checks.equal("unstorage: its requests are counted by their route", {
    actual: [requests[`PUT ${route} 201`], requests[`DELETE ${route} 204`], requests[`GET ${route} 401`]],
    expected: [6, 4, 1],
  });
  target.checks.equal("unstorage: nothing is left", { actual: (await target.objects("")).size, expected: 0 });
}

/** metro-cache's HttpStore over plain objects. */
export async function metro(target: Target): Promise<void> {
  const path = "/v1/objects/metro";
  const route = "/v1/objects/{key}";
  const step = async (name: string, expected: object) => {
    const actual = await target.requests("/v1/objects/{key}", () => script(target, "metro", { path, step: name }));
    target.checks.equal(`metro: requests when ${name}`, { actual, expected });
  };
  const cold = { [`GET ${route} 404`]: 20, [`PUT ${route} 201`]: 20, [`GET ${route} 401`]: 1 };
  await step("cold", cold);
  await step("warm", { [`GET ${route} 200`]: 20 });
  target.checks.equal("metro: entries are damaged", { actual: await target.damage("metro/"), expected: 20 });
  await step("damaged", cold);
  await step("warm", { [`GET ${route} 200`]: 20 });
}
