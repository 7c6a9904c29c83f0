import { NX_CACHE, nxRefusal } from "./clients/nx.ts";
import { ARTIFACTS, turborepoRefusal } from "./clients/turborepo.ts";
import { problem } from "./http/reply.ts";
import { isS3 } from "./http/target.ts";
import { s3Refusal } from "./s3/wire/xml.ts";

/** A refusal in the form that the clients of the exchange's path read. */
export const refusalInDialect: typeof problem = (exchange, ...rest) => {
  const { path } = exchange;
  if (isS3(path)) return s3Refusal(exchange, ...rest);
  if (path.startsWith(NX_CACHE)) return nxRefusal(exchange, ...rest);
  return path.startsWith(ARTIFACTS) ? turborepoRefusal(exchange, ...rest) : problem(exchange, ...rest);
};
