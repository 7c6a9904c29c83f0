import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ensureInstalled } from "../tools/debian.ts";
import type { Build, Target } from "./target.ts";

const TASKS = ["a", "b"];

const SETTINGS = `
buildCache {
  local { enabled = false }
  remote(HttpBuildCache) {
    url = System.getenv('CACHE_URL')
    push = true
    credentials { username = 'gradle'; password = System.getenv('CACHE_TOKEN') }
  }
}
`;
const BUILD = `
@CacheableTask
class Make extends DefaultTask {
  @Input String text
  @OutputFile File out
  @TaskAction void make() { out.text = text }
}
['a', 'b'].each { n -> task(n, type: Make) { text = "built-\${n}\\n"; out = file("\${buildDir}/\${n}.txt") } }
`;

/** Gradle's HttpBuildCache over plain objects, with two tasks of its own kind. */
export async function gradle(target: Target): Promise<void> {
  const { checks } = target;
  ensureInstalled({ javac: "default-jdk-headless", gradle: "gradle" });
  target.write({ "settings.gradle": SETTINGS, "build.gradle": BUILD });
  const build = (token = target.token): Build => {
    for (const left of ["build", ".gradle"]) rmSync(join(target.folder, left), { recursive: true, force: true });
    return target.build("gradle", ["--build-cache", "--no-daemon", "--console=plain", ...TASKS], {
      CACHE_URL: `${target.url}/v1/objects/gradle/`,
      CACHE_TOKEN: token,
      GRADLE_USER_HOME: join(target.folder, "home"),
    });
  };
  const step = async (name: string, wanted: { readonly cached: number; readonly requests: object }, token?: string) => {
    let built: Build = { code: null, text: "" };
    const requests = await target.requests("/v1/objects/{key}", () => built = build(token));
    checks.equal(`gradle: ${name}`, {
      actual: {
        code: built.code,
        cached: built.text.split("FROM-CACHE").length - 1,
        requests,
        outputs: outputsOf(target),
      },
      expected: { code: 0, ...wanted, outputs: TASKS.map((each) => `built-${each}\n`) },
    });
    return built;
  };
  const route = "/v1/objects/{key}";
  const cold = { [`GET ${route} 404`]: 2, [`PUT ${route} 201`]: 2 };
  const warm = { [`GET ${route} 200`]: 2 };
  await step("a cold build stores", { cached: 0, requests: cold });
  await step("a warm build hits", { cached: 2, requests: warm });
  checks.equal("gradle: the entries are damaged", { actual: await target.damage("gradle/"), expected: 2 });
  await step("what is damaged is built and stored", { cached: 0, requests: cold });
  // It uses the cache no more in this build after the first error.
  await step("a wrong token does not break the build", { cached: 0, requests: { [`GET ${route} 401`]: 1 } }, "wrong");
}

function outputsOf({ folder }: Target): readonly string[] {
  return TASKS.map((name) => join(folder, "build", `${name}.txt`))
    .map((path) => existsSync(path) ? readFileSync(path, "utf8") : "");
}
