/** Identifies an object: a tenant (an isolation domain, "" by default) and a key in it. Tenants never share objects. */
export interface ObjectKey {
  /** 0-128 bytes of UTF-8, none of them NUL. */
  readonly tenant: string;
  /** 1-1024 bytes of UTF-8, any characters. */
  readonly key: string;
  /** The traced request that uses the key, so that events can refer to it. Not part of the object's identity. */
  readonly requestId?: string | undefined;
}

/** Maximum length of a key in bytes of UTF-8. */
export const MAX_KEY_BYTES = 1024;

/** Maximum length of a tenant in bytes of UTF-8. */
export const MAX_TENANT_BYTES = 128;

/**
 * A string that identifies an object, for maps in one process; never for storage or labels. It is unique because a
 * tenant contains no NUL.
 */
export function keyId(key: ObjectKey): string {
  return `${key.tenant}\0${key.key}`;
}

/**
 * Compares keys by their UTF-8 bytes. (JavaScript compares UTF-16 code units, which sorts U+E000-U+FFFF after the
 * astral planes.)
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
