/** The images' health check: exit code 0 if the server says that it is worth keeping, 1 if not, or if it does not answer within 4 s. */
import { get as getPlainly } from "node:http";
import { get as getSecurely } from "node:https";
import process from "node:process";

// The admin port answers also while every worker is busy.
const { VITRINE_ADMIN_PORT: port = "9090", VITRINE_TLS_CERT: certificate = "none" } = process.env;
const get = certificate === "none" ? getPlainly : getSecurely;
setTimeout(() => process.exit(1), 4000);
// The certificate is for the name that clients use, which is not the loopback's.
get({ host: "127.0.0.1", port, path: "/healthz", rejectUnauthorized: false }, ({ statusCode }) => {
  process.exit(statusCode === 200 ? 0 : 1);
}).on("error", () => process.exit(1));
