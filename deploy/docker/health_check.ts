/** The images' health check: exit code 0 if the server says that it is worth keeping, 1 if not, or if it does not answer within 4 s. */
import process from "node:process";

// The admin port answers also while every worker is busy.
const port = process.env["VITRINE_ADMIN_PORT"] ?? "9090";
try {
  const { ok } = await fetch(`http://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(4000) });
  process.exit(ok ? 0 : 1);
} catch {
  process.exit(1);
}
