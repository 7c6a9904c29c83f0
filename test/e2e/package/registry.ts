import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { join, resolve } from "node:path";

const REGISTRY = "https://registry.npmjs.org";

/** An npm registry that has one package; it sends whoever asks for another one on to the public registry. */
export class Registry {
  /** Makes npm, Bun and Deno use it. */
  readonly environment: NodeJS.ProcessEnv;
  readonly #server: Server;

  private constructor(server: Server, environment: NodeJS.ProcessEnv) {
    this.#server = server;
    this.environment = environment;
  }

  /** Packs the package in `source` in `folder`, and serves it. */
  static async start(source: string, folder: string): Promise<Registry> {
    const [packed] = JSON.parse(
      execFileSync("npm", ["pack", "--json", "--pack-destination", folder, resolve(source)], {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
      }),
    );
    const tarball = readFileSync(join(folder, packed.filename));
    const manifest = JSON.parse(readFileSync(join(source, "package.json"), "utf8"));
    const integrity = `sha512-${createHash("sha512").update(tarball).digest("base64")}`;
    const shasum = createHash("sha1").update(tarball).digest("hex");
    const server = createServer(({ url = "", headers: { host } }, response) => {
      if (url.endsWith(".tgz") && url.startsWith("/vitrine/")) {
        response.end(tarball);
      } else if (url === "/vitrine") {
        const dist = { tarball: `http://${host}/vitrine/-/${packed.filename}`, integrity, shasum };
        const versions = { [manifest.version]: { ...manifest, dist } };
        const document = { name: "vitrine", "dist-tags": { latest: manifest.version }, versions, time: {} };
        response.setHeader("content-type", "application/json");
        response.end(JSON.stringify(document));
      } else {
        response.writeHead(307, { location: `${process.env["npm_config_registry"] ?? REGISTRY}${url}` }).end();
      }
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const url = `http://127.0.0.1:${port}/`;
    return new Registry(server, {
      ...process.env,
      npm_config_registry: url,
      NPM_CONFIG_REGISTRY: url,
      npm_config_cache: join(folder, "npm"),
      BUN_INSTALL_CACHE_DIR: join(folder, "bun"),
      DENO_DIR: join(folder, "deno"),
      XDG_CACHE_HOME: join(folder, "cache"),
    });
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
