import { badUrl, type TierUrl } from "../url.ts";

/** The settings of a tier in another server, from its URL. */
export interface HttpSettings {
  /** Scheme, host and port. */
  readonly origin: string;
  /** Begins all keys there; "" by default. */
  readonly prefix: string;
  /** The tenant there of this server's default tenant, which is then the only one; default: each tenant is its own. */
  readonly tenant: string | undefined;
  /** The place of the token; default: there is none. */
  readonly token: { readonly file: string } | { readonly variable: string } | undefined;
}

/**
 * Parses `http://host:port[/prefix]`. Parameters: `token-file` or `token-env`, `tenant`. Throws bad_request, with a
 * message that never has the whole URL: it may have a secret where none should be.
 */
export function httpSettings(url: TierUrl): HttpSettings {
  const { scheme } = url;
  const bad = (what: string) => badUrl(`${scheme} ${what}`);
  const [, authority = "", rawPrefix = ""] = /^([^/]*)(?:\/(.*))?$/.exec(url.rawPath) ?? [];
  if (authority.includes("@")) throw bad("no user or password in the URL: use token-file=PATH or token-env=NAME");
  const text = `${scheme}//${authority}`;
  if (!url.hasSlashes || authority === "" || !URL.canParse(text)) {
    throw bad(`must look like ${scheme}//host:port/prefix`);
  }
  if (url.take("token") !== undefined) throw bad("no token in the URL: use token-file=PATH or token-env=NAME");
  if (url.take("max") !== undefined) throw bad("max is not for this tier: that server's own tiers have limits");
  const [file, variable, tenant] = [url.take("token-file"), url.take("token-env"), url.take("tenant")];
  if (file !== undefined && variable !== undefined) throw bad("either token-file or token-env, not both");
  if (file === "" || variable === "") throw bad("token-file or token-env is empty");
  if (tenant !== undefined && !/^[\x20-\x7e]{0,128}$/.test(tenant)) {
    throw bad("tenant must be at most 128 printable ASCII characters");
  }
  return {
    origin: new URL(text).origin,
    prefix: decodeURIComponent(rawPrefix),
    tenant,
    token: file !== undefined ? { file } : variable !== undefined ? { variable } : undefined,
  };
}

/** Identifies the store of the tier's objects, so that none is used twice. */
export function httpStoreId({ origin, prefix, tenant }: HttpSettings): string {
  return `http ${origin} ${prefix} ${tenant ?? ""}`;
}
