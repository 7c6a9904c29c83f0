import { isIP } from "node:net";
import { parseSize } from "../core/size.ts";

/** The format of a setting's text: the parser, and a description for help and error messages. */
export interface ValueFormat<T> {
  /** Returns the value, or undefined if the text has another format. */
  readonly parse: (text: string) => T | undefined;
  /** Completes "expected …". */
  readonly expected: string;
  /** Set if the text must not be shown. */
  readonly isSecret?: true;
  /** Set if the flag may be given without a value, for `on`. */
  readonly isSwitch?: true;
}

/** Labels separated by dots, with or without a leading `*.`. */
const HOST_NAME = /^(?:\*\.)?(?:[a-z0-9_-]{1,63}\.){0,126}[a-z0-9_-]{1,63}$/i;

function within(value: number | undefined, min: number, max: number): number | undefined {
  return value !== undefined && value >= min && value <= max ? value : undefined;
}

/** One of the words. */
export function oneOf<const Word extends string>(words: readonly Word[]): ValueFormat<Word> {
  return {
    parse: (text) => words.find((word) => word === text),
    expected: words.join(", ").replace(/, ([^,]*)$/, " or $1"),
  };
}

/** `on` or `off`. */
export function onOff(): ValueFormat<boolean> {
  return { parse: (text) => text === "on" || (text === "off" ? false : undefined), expected: "on or off" };
}

/** `on` or `off`; the flag without a value means `on`. */
export function flag(): ValueFormat<boolean> {
  return { ...onOff(), isSwitch: true };
}

/** A whole number; both limits are inclusive. */
export function integer(min: number, max: number): ValueFormat<number> {
  return {
    parse: (text) => within(/^\d{1,15}$/.test(text) ? Number(text) : undefined, min, max),
    expected: `a whole number from ${min} to ${max}`,
  };
}

/** A fraction above 0 and up to 1. */
export function ratio(): ValueFormat<number> {
  return {
    parse: (text) => within(/^[01](?:\.\d+)?$/.test(text) ? Number(text) : undefined, Number.MIN_VALUE, 1),
    expected: "a fraction above 0 and up to 1, such as 0.8",
  };
}

/** A size in bytes, as `parseSize` reads it. */
export function size(minText: string): ValueFormat<number> {
  const minBytes = parseSize(minText) ?? 0;
  return {
    parse: (text) => within(parseSize(text), minBytes, Number.MAX_SAFE_INTEGER),
    expected: `a size of at least ${minText}, such as 256MiB or 8GB`,
  };
}

const msPerUnit: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Parses a duration (`250ms`, `30s`, `1.5h`) to milliseconds, rounded down; undefined if it is none. */
function parseDuration(text: string): number | undefined {
  const [, amount, unit = ""] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? [];
  const factor = msPerUnit[unit];
  return amount === undefined || factor === undefined ? undefined : Math.floor(Number(amount) * factor);
}

/** A duration in milliseconds: a number with ms, s, m or h. */
export function duration(minText: string, maxText: string): ValueFormat<number> {
  const minMs = parseDuration(minText) ?? 0;
  const maxMs = parseDuration(maxText) ?? 0;
  return {
    parse: (text) => within(parseDuration(text), minMs, maxMs),
    expected: `a duration from ${minText} to ${maxText}, such as 30s or 5m`,
  };
}

/** Any text except a blank one. */
export function nonEmpty(expected: string): ValueFormat<string> {
  return { parse: (value) => value.trim() === "" ? undefined : value, expected };
}

/** The path of a file; `none` gives an undefined path. */
export function pathOrNone(): ValueFormat<{ readonly path: string | undefined }> {
  return {
    parse: (text) => {
      if (text.trim() === "") return undefined;
      return { path: text === "none" ? undefined : text };
    },
    expected: "the path of a file, or none",
  };
}

/** A text without spaces; `none` gives an undefined text. */
export function wordOrNone(expected: string): ValueFormat<{ readonly text: string | undefined }> {
  return {
    parse: (text) => /^\S+$/.test(text) ? { text: text === "none" ? undefined : text } : undefined,
    expected: `${expected}, or none`,
  };
}

/** Words from a list, separated by commas; `none` gives an empty list. */
export function someOf<const Word extends string>(words: readonly Word[]): ValueFormat<readonly Word[]> {
  return {
    parse: (text) => {
      if (text === "none") return [];
      const list = text.split(",").map((part) => words.find((word) => word === part.trim()));
      return list.every((word) => word !== undefined) ? list : undefined;
    },
    expected: `some of ${words.join(", ")}, separated by commas, or none`,
  };
}

/** A URL whose content nobody else on the network can change: https, or http on this machine; or none. */
export function protectedUrlOrNone(): ValueFormat<{ readonly url: string | undefined }> {
  return {
    parse: (text) => {
      if (text === "none") return { url: undefined };
      const url = URL.parse(text);
      const isLocal = url?.protocol === "http:" && /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
      return url?.protocol === "https:" || isLocal ? { url: text } : undefined;
    },
    expected: "a URL with https, or with http on this machine, or none",
  };
}

/** A text that must not be shown; `none` gives an undefined secret. */
export function secretOrNone(expected: string): ValueFormat<{ readonly secret: string | undefined }> {
  return {
    parse: (text) => text.trim() === "" ? undefined : { secret: text === "none" ? undefined : text },
    expected,
    isSecret: true,
  };
}

/** Like secretOrNone, of at least this many characters. */
export function longSecretOrNone(minLength: number): ValueFormat<{ readonly secret: string | undefined }> {
  return {
    parse: (text) => {
      if (text === "none") return { secret: undefined };
      return text.length < minLength ? undefined : { secret: text };
    },
    expected: `at least ${minLength} characters, or none`,
    isSecret: true,
  };
}

/** A name at which a server speaks S3. */
export interface S3Host {
  readonly name: string;
  /** The bucket at its root; undefined: the first segment of the path is the bucket. */
  readonly bucket: string | undefined;
}

/** `NAME` and `NAME=BUCKET` separated by commas, or `none` for an empty list. */
export function s3Hosts(): ValueFormat<readonly S3Host[]> {
  return {
    parse: (value) => {
      if (value === "none") return [];
      const hosts = value.split(",").map((each) => {
        const [name = "", bucket, ...rest] = each.trim().toLowerCase() === "" ? [] : each.trim().split("=");
        const isGood = !name.startsWith("*") && HOST_NAME.test(name) && rest.length === 0 && bucket !== "" &&
          !bucket?.includes("/");
        return isGood ? { name: name.toLowerCase(), bucket } : undefined;
      });
      const good = hosts.filter((host) => host !== undefined);
      return good.length === hosts.length ? good : undefined;
    },
    expected: "host names without ports separated by commas, such as s3.example.com or kv.example.com=kv, or none",
  };
}

/** Web origins separated by commas, or `none` for an empty list. */
export function origins(): ValueFormat<readonly string[]> {
  return {
    parse: (value) => {
      if (value === "none") return [];
      const list = value.split(",").map((origin) => origin.trim());
      return list.every((origin) => /^https?:/.test(origin) && URL.parse(origin)?.origin === origin) ? list : undefined;
    },
    expected: "origins separated by commas, such as https://app.example.com, or none",
  };
}

/**
 * A URL that may list several hosts, separated by commas too: the next part continues it if it is a host and a port.
 * The path and the query follow the last host.
 */
const MANY_HOSTS = /^[a-z]+\+[a-z]+:\/\/[^/?]*$/i;
const HOST_AND_PORT = /^(?:\[[0-9a-f:.]+\]|[\w.-]+)(?::\d{1,5})?(?:[/?].*)?$/i;

/** Splits a list of URLs at the commas that separate them. */
function splitUrls(text: string): readonly string[] {
  const list: string[] = [];
  for (const part of text.split(",").map((each) => each.trim())) {
    const before = list.at(-1);
    if (before !== undefined && MANY_HOSTS.test(before) && HOST_AND_PORT.test(part)) {
      list[list.length - 1] = `${before},${part}`;
    } else {
      list.push(part);
    }
  }
  return list;
}

/** The URL of a folder that is given by its path, with parameters after a question mark; any other text as it is. */
function folderUrl(text: string): string {
  if (!/^\.{0,2}\//.test(text)) return text;
  const [path = "", ...parameters] = text.split(/(?=\?)/);
  return `file://${path.replaceAll(/[%#\s]/g, encodeURIComponent)}${parameters.join("")}`;
}

/** URLs, or paths of folders, separated by commas, or `none` for an empty list. */
export function urls(): ValueFormat<readonly string[]> {
  return {
    parse: (value) => {
      if (value === "none") return [];
      const list = splitUrls(value).map(folderUrl);
      return list.every((url) => /^[a-z][a-z0-9+.-]*:\S*$/i.test(url)) ? list : undefined;
    },
    expected: "paths of folders or URLs separated by commas, such as /var/lib/vitrine?max=10GB, or none",
  };
}

/** Host names separated by commas; `*.NAME` means every name below NAME, `*` any name, `none` an empty list. */
export function hostNames(): ValueFormat<readonly string[]> {
  return {
    parse: (value) => {
      if (value === "none") return [];
      const list = value.split(",").map((name) => name.trim());
      return list.every((name) => name === "*" || HOST_NAME.test(name)) ? list : undefined;
    },
    expected: "host names without ports separated by commas, such as vitrine or *.example.com, or * or none",
  };
}

/** Addresses and networks separated by commas, or `none` for an empty list. */
export function networks(): ValueFormat<readonly string[]> {
  return {
    parse: (value) => {
      if (value === "none") return [];
      const list = value.split(",").map((network) => network.trim());
      return list.every(isNetwork) ? list : undefined;
    },
    expected: "addresses or networks separated by commas, such as 10.0.0.0/8, or none",
  };
}

/** True for an address, or for one with the number of its leading bits. */
function isNetwork(text: string): boolean {
  const [address = "", bits, ...rest] = text.split("/");
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
}

/** The format, or the word `auto`. */
export function orAuto<T>(format: ValueFormat<T>): ValueFormat<T | "auto"> {
  return { parse: (value) => value === "auto" ? "auto" : format.parse(value), expected: `auto, or ${format.expected}` };
}

/** Names of parameters that probably hold a secret. */
const SECRET = /password|secret|token|key/i;

/**
 * Masks the password of a URL and the values of query parameters that probably hold secrets. Accepts any text, also a
 * malformed URL.
 */
export function redactUrl(url: string): string {
  // Up to the last @ before the path, because a password may contain one.
  const plain = url.replace(/^([a-z][a-z0-9+.-]*:\/\/[^/?#:@]*):[^/?#]*@/i, "$1:***@");
  return plain.split(/(?=[&#])/).map(redactParameters).join("");
}

/**
 * `part` extends from one `&` or `#` to the next. Everything after its first secret is masked too, because a value may
 * contain a question mark.
 */
function redactParameters(part: string): string {
  let shown = "";
  for (const piece of part.split(/(?=\?)/)) {
    const equals = piece.indexOf("=");
    if (equals > 0 && /^[?&]/.test(piece) && SECRET.test(piece.slice(0, equals))) {
      return `${shown}${piece.slice(0, equals)}=***`;
    }
    shown += piece;
  }
  return shown;
}
