/** The bytes [start, end) of an object. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Parses a `Range` header (RFC 9110 14.1.2) for an object of this size. Undefined: send the whole object, because the
 * header has several satisfiable ranges, another unit or no meaning; a server may ignore all of these. "unsatisfiable":
 * the object has no byte of the range.
 */
export function parseRange(header: string, sizeBytes: number): ByteRange | "unsatisfiable" | undefined {
  const unitEnd = header.indexOf("=");
  if (header.slice(0, Math.max(unitEnd, 0)).toLowerCase() !== "bytes") return undefined;
  // Elements of a list may be empty (RFC 9110 5.6.1.2).
  const specs = header.slice(unitEnd + 1).split(",").map(trimSpace).filter((spec) => spec !== "");
  let found: ByteRange | undefined;
  for (const spec of specs) {
    const range = parseSpec(spec, sizeBytes);
    if (range === undefined) return undefined;
    if (range === "unsatisfiable") continue;
    if (found !== undefined) return undefined;
    found = range;
  }
  // A suffix of an empty object is satisfiable and empty, which Content-Range cannot express.
  if (found?.start === found?.end) return specs.length === 0 || found !== undefined ? undefined : "unsatisfiable";
  return found;
}

function parseSpec(spec: string, sizeBytes: number): ByteRange | "unsatisfiable" | undefined {
  const dash = spec.indexOf("-");
  const first = spec.slice(0, Math.max(dash, 0));
  const last = spec.slice(dash + 1);
  if (dash < 0 || !isDigits(first + last)) return undefined;
  if (first === "") {
    const suffixBytes = Math.min(Number(last), sizeBytes);
    return Number(last) === 0 ? "unsatisfiable" : { start: sizeBytes - suffixBytes, end: sizeBytes };
  }
  if (last !== "" && isBelow(last, first)) return undefined;
  const start = Number(first);
  if (start >= sizeBytes) return "unsatisfiable";
  return { start, end: last === "" ? sizeBytes : Math.min(Number(last) + 1, sizeBytes) };
}

const isDigits = (text: string) => /^[0-9]+$/.test(text);

const trimSpace = (text: string) => text.replace(/^[ \t]+/, "").trimEnd();

/** Compares decimal numbers of any length, which a double cannot hold. */
function isBelow(a: string, b: string): boolean {
  const [x, y] = [a.replace(/^0+/, ""), b.replace(/^0+/, "")];
  return x.length === y.length ? x < y : x.length < y.length;
}
