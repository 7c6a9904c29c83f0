import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import manifest from "../../../package.json" with { type: "json" };
import type { RuntimeName } from "../support/server_process.ts";
import { ensureInstalled } from "../tools/debian.ts";
import { run } from "../tools/run.ts";
import { buildah, commitImage, hasImage } from "./buildah.ts";

const base = "localhost/vitrine-base:bookworm";
const certificates = "/etc/ssl/certs/ca-certificates.crt";

/** The programs that npm has installed, of the versions that package.json pins. */
const programs: Readonly<Record<RuntimeName, string>> = {
  bun: "node_modules/bun/bin/bun.exe",
  deno: "node_modules/deno/deno",
};

function ensureBase(): void {
  if (hasImage(base)) return;
  ensureInstalled({ debootstrap: "debootstrap" });
  const folder = mkdtempSync(join(tmpdir(), "vitrine-debian-"));
  try {
    run("debootstrap", ["--variant=minbase", "bookworm", join(folder, "root")]);
    // A tar file, because buildah would not copy device files.
    run("tar", [
      "-C",
      join(folder, "root"),
      "--exclude=./var/cache/apt/archives/*.deb",
      "-cf",
      join(folder, "root.tar"),
      ".",
    ]);
    commitImage(
      base,
      "scratch",
      (container) => void buildah("add", "--quiet", container, join(folder, "root.tar"), "/"),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** In place of the runtime's official image: Debian, the program, and the certificates that this machine trusts. */
function ensureRuntimeImage(runtime: RuntimeName): string {
  const name = `localhost/vitrine-runtime-${runtime}:${manifest.devDependencies[runtime]}`;
  if (hasImage(name)) return name;
  commitImage(name, base, (container) => {
    buildah("copy", "--quiet", container, programs[runtime], `/usr/local/bin/${runtime}`);
    buildah("copy", "--quiet", container, certificates, certificates);
    const env = [`NODE_EXTRA_CA_CERTS=${certificates}`, "DENO_TLS_CA_STORE=mozilla,system"];
    buildah("config", ...env.flatMap((each) => ["--env", each]), container);
  });
  return name;
}

/**
 * Builds the image of a runtime from its Dockerfile as it is, with images made here as the ones it starts from. Returns
 * its name.
 */
export function buildImage(runtime: RuntimeName): string {
  ensureInstalled({ buildah: "buildah" });
  ensureBase();
  const name = `localhost/vitrine-${runtime}`;
  const args = { RUNTIME: ensureRuntimeImage(runtime), BASE: base };
  buildah(
    "bud",
    // OCI's format has no health check.
    ...["--format", "docker", "--isolation", "chroot", "--pull-never", "--quiet"],
    ...Object.entries(args).flatMap(([arg, value]) => ["--build-arg", `${arg}=${value}`]),
    ...["--file", `deploy/docker/${runtime}.Dockerfile`, "--tag", name, "."],
  );
  return name;
}
