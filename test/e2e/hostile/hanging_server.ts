import { appendFileSync, cpSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

/**
 * The ways in which a worker hangs: a loop; a RegExp that backtracks, which Bun cannot end; a call that waits for ever.
 */
export type Hang = "loop" | "regexp" | "wait";

const HANGS: Readonly<Record<Hang, string>> = {
  loop: "for (;;);",
  regexp: "new RegExp(`^${'.*'.repeat(25)}!$`).test('a'.repeat(200));",
  wait: "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);",
};

/** The server with a defect: each worker that was there from the start hangs when a file says so. */
export class HangingServer {
  /** For ServerOptions. */
  readonly program: string;
  readonly #folder: string;

  /** Copies the sources into `folder`, which is to be empty. */
  constructor(folder: string) {
    this.#folder = folder;
    for (const part of ["src", "routes", "page", "package.json", "deno.json", "tsconfig.json"]) {
      cpSync(part, join(folder, part), { recursive: true });
    }
    symlinkSync(resolve("node_modules"), join(folder, "node_modules"));
    const defect = Object.entries(HANGS).map(([hang, code]) =>
      `if (existsSync(${JSON.stringify(this.#sign(hang))})) ${code}`
    );
    appendFileSync(
      join(folder, "src/compose/cluster/worker.ts"),
      `\nimport { existsSync } from "node:fs";\nif (data.worker.workerId <= 3) setInterval(() => {\n${
        defect.join("\n")
      }\n}, 50);\n`,
    );
    this.program = join(folder, "src/main.ts");
  }

  /** Makes the workers hang. */
  hang(how: Hang): void {
    writeFileSync(this.#sign(how), "");
  }

  #sign(how: string): string {
    return join(this.#folder, `hang-${how}`);
  }
}
