/**
 * What names an object: its tenant (isolation domain, "" by default) and its key inside it. Two tenants never share an
 * object.
 */
export interface ObjectKey {
  /** 0-128 bytes of UTF-8, none of them NUL. */
  readonly tenant: string;
  /** 1-1024 bytes of UTF-8, any characters. */
  readonly key: string;
  /**
   * The followed request that names it, so that events can tell whose work they are. No part of the object's identity.
   */
  readonly requestId?: string | undefined;
}

/** Most bytes a key may take in UTF-8. */
export const MAX_KEY_BYTES = 1024;

/** Most bytes a tenant may take in UTF-8. */
export const MAX_TENANT_BYTES = 128;

/**
 * One string per object key, unique because a tenant holds no NUL: for maps inside one process, never for storage or
 * labels.
 */
export function keyId(key: ObjectKey): string {
  return `${key.tenant}\0${key.key}`;
}

/**
 * Orders keys as their UTF-8 bytes are ordered (JavaScript compares UTF-16, which puts U+E000-U+FFFF behind the astral
 * planes).
 */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return isSurrogate(x) === isSurrogate(y) ? x - y : isSurrogate(x) ? 1 : -1;
  }
  return a.length - b.length;
}

function isSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdfff;
}
