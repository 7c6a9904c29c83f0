/** A header field: its name in lower case, and its value, one character (U+0000 to U+00FF) for each byte. */
export type HeaderField = readonly [name: string, value: string];

/** Most fields that are kept with one object. */
export const MAX_KEPT_HEADERS = 64;

/** Most bytes that they take together: names and values, and two for each field. */
export const MAX_KEPT_HEADER_BYTES = 4096;

const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const PACKED = /^(?:[!#$%&'*+.^_`|~0-9a-z-]+:[\t\x20-\x7e\x80-\xff]*\n)+$/;

/**
 * True if text may stand as the value of a header field (RFC 9110 5.5): no control character but HTAB, and nothing that
 * is no byte.
 */
export function isFieldValue(text: string): boolean {
  return FIELD_VALUE.test(text);
}

/** All fields as one text, sorted by name; "" for none. Two characters for each field stand beside name and value. */
export function packHeaders(fields: readonly HeaderField[]): string {
  const sorted = fields.toSorted(([a], [b]) => a < b ? -1 : 1);
  return sorted.map(([name, value]) => `${name}:${value}\n`).join("");
}

/** The fields of a text that `packHeaders` made. */
export function unpackHeaders(packed: string): readonly HeaderField[] {
  const fields: HeaderField[] = [];
  for (let at = 0; at < packed.length;) {
    const colon = packed.indexOf(":", at);
    const end = packed.indexOf("\n", colon);
    fields.push([packed.slice(at, colon), packed.slice(colon + 1, end)]);
    at = end + 1;
  }
  return fields;
}

/** True if `packHeaders` can have made this text, which is not empty: its values cannot break out of a header field. */
export function isPackedHeaders(text: string): boolean {
  return PACKED.test(text);
}
