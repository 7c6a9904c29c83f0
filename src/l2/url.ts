import { VitrineError } from "../core/errors.ts";

const UNITS: Readonly<Record<string, number>> = { "": 1, B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };

/**
 * A parsed tier URL: `scheme:[//]path[?name=value&…]`. It is not a WHATWG URL, because those have no relative path in
 * `file://./x`.
 */
export class TierUrl {
  /** The scheme with its colon, e.g. "file:". */
  readonly scheme: string;
  /** The percent-decoded path; "" if there is none. */
  readonly path: string;
  /** The path, not decoded. */
  readonly rawPath: string;
  readonly #parameters: Map<string, string>;

  /** Throws bad_request with the reason. Messages never contain the whole URL, because it may contain a password. */
  constructor(url: string) {
    const match = /^([a-z][a-z0-9+.-]*:)(?:\/\/)?([^?#]*)(?:\?([^#]*))?$/.exec(url);
    if (match === null) throw bad("a tier's URL must look like scheme://path?name=value");
    this.scheme = match[1] ?? "";
    this.rawPath = match[2] ?? "";
    try {
      this.path = decodeURIComponent(this.rawPath);
    } catch (error) {
      throw bad(`${this.scheme} bad percent-encoding in the path`, error);
    }
    this.#parameters = new Map(new URLSearchParams(match[3] ?? ""));
  }

  /** Takes a text parameter. */
  take(name: string): string | undefined {
    const value = this.#parameters.get(name);
    this.#parameters.delete(name);
    return value;
  }

  /** Takes a size in bytes ("1024", "64MiB", "1.5GiB"). */
  takeBytes(name: string): number | undefined {
    const text = this.take(name);
    if (text === undefined) return undefined;
    const match = /^(\d+(?:\.\d+)?)([A-Za-z]*)$/.exec(text);
    const bytes = Math.floor(Number(match?.[1]) * (UNITS[match?.[2] ?? ""] ?? Number.NaN));
    if (!Number.isSafeInteger(bytes)) throw bad(`${this.scheme} ${name} must be a size like 64MiB: ${text}`);
    return bytes;
  }

  /** Takes a switch: "on" or "off". */
  takeSwitch(name: string, fallback: boolean): boolean {
    const text = this.take(name);
    if (text === undefined) return fallback;
    if (text !== "on" && text !== "off") throw bad(`${this.scheme} ${name} must be on or off: ${text}`);
    return text === "on";
  }

  /** Throws bad_request if any parameter has not been taken. */
  finish(): void {
    const [unknown] = this.#parameters.keys();
    if (unknown !== undefined) throw bad(`${this.scheme} unknown parameter: ${unknown}`);
  }
}

function bad(what: string, cause?: unknown): VitrineError {
  return new VitrineError("bad_request", `read L2 URL: ${what}`, { cause });
}
