/** What names an object: its tenant (isolation domain, "" by default) and its key inside it. Two tenants never share an object. */
export interface ObjectKey {
  /** 0-128 bytes of UTF-8, none of them NUL. */
  readonly tenant: string;
  /** 1-1024 bytes of UTF-8, any characters. */
  readonly key: string;
}

/** Most bytes a key may take in UTF-8. */
export const MAX_KEY_BYTES = 1024;

/** Most bytes a tenant may take in UTF-8. */
export const MAX_TENANT_BYTES = 128;

/** One string per object key, unique because a tenant holds no NUL: for maps inside one process, never for storage or labels. */
export function keyId(key: ObjectKey): string {
  return `${key.tenant}\0${key.key}`;
}
