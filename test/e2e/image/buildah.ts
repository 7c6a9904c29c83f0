import * as v from "valibot";
import { join } from "node:path";
import { cacheFolder } from "../tools/cache_folder.ts";
import { run } from "../tools/run.ts";

const imageSchema = v.object({
  Docker: v.object({
    config: v.object({
      User: v.string(),
      Entrypoint: v.array(v.string()),
      WorkingDir: v.string(),
      StopSignal: v.string(),
      Env: v.array(v.string()),
      Healthcheck: v.object({ Test: v.array(v.string()) }),
    }),
  }),
});

/** What an engine would run of an image, and how. */
export type ImageConfig = v.InferOutput<typeof imageSchema>["Docker"]["config"];

/** The arguments before every buildah command: images live in the cache, not in the system's store. */
export function storeArgs(): readonly string[] {
  const folder = cacheFolder("images");
  return ["--root", join(folder, "store"), "--runroot", join(folder, "run"), "--storage-driver", "overlay"];
}

/** Runs buildah and returns what it printed, without the last line's end. */
export function buildah(...args: readonly string[]): string {
  return run("buildah", [...storeArgs(), ...args]).trimEnd();
}

/** Whether an image of this name is there. */
export function hasImage(name: string): boolean {
  return buildah("images", "--quiet", "--filter", `reference=${name}`) !== "";
}

/** What an image tells engines. */
export function imageConfig(name: string): ImageConfig {
  return v.parse(imageSchema, JSON.parse(buildah("inspect", "--type", "image", name))).Docker.config;
}

/** Bytes that an image takes in a store. */
export function imageSize(name: string): string {
  return buildah("images", "--format", "{{.Size}}", name);
}

/** Makes an image by changing a container of another one, or of nothing ("scratch"). */
export function commitImage(name: string, from: string, change: (container: string) => void): void {
  const container = buildah("from", "--pull-never", from);
  try {
    change(container);
    buildah("commit", "--quiet", container, name);
  } finally {
    buildah("rm", container);
  }
}
