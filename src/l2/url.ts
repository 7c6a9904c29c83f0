import type { Clock } from "../core/clock.ts";
import { VitrineError } from "../core/errors.ts";
import type { Publish } from "../core/events.ts";
import { parseSize } from "../core/size.ts";
import type { EventMap } from "../events/catalogue.ts";
import type { L2Adapter, L2Reader, TierRemovalListener } from "./adapter.ts";
import type { AdapterFolder } from "./file/adapter.ts";
import type { FolderCalls } from "./file/folder_calls.ts";
import type { FolderKeeper } from "./file/folder_keeper.ts";

/**
 * A parsed tier URL: `scheme:[//]path[?name=value&…]`. It is not a WHATWG URL, because those have no relative path in
 * `file://./x`.
 */
export class TierUrl {
  /** The scheme with its colon, e.g. "file:". */
  readonly scheme: string;
  /** The percent-decoded path; "" if there is none. */
  readonly path: string;
  /** True if the path follows two slashes. */
  readonly hasSlashes: boolean;
  /** The path, not decoded. */
  readonly rawPath: string;
  readonly #parameters: Map<string, string>;

  /** Throws bad_request with the reason. Messages never contain the whole URL, because it may contain a password. */
  constructor(url: string) {
    const match = /^([a-z][a-z0-9+.-]*:)(\/\/)?([^?#]*)(?:\?([^#]*))?$/.exec(url);
    if (match === null) throw badUrl("a tier's URL must look like scheme://path?name=value");
    this.scheme = match[1] ?? "";
    this.hasSlashes = match[2] !== undefined;
    this.rawPath = match[3] ?? "";
    try {
      this.path = decodeURIComponent(this.rawPath);
    } catch (error) {
      throw badUrl(`${this.scheme} bad percent-encoding in the path`, error);
    }
    this.#parameters = new Map(new URLSearchParams(match[4] ?? ""));
  }

  /** Takes a text parameter. */
  take(name: string): string | undefined {
    const value = this.#parameters.get(name);
    this.#parameters.delete(name);
    return value;
  }

  /** Takes a size in bytes ("1024", "64MiB", "1.5GB"). */
  takeBytes(name: string): number | undefined {
    const text = this.take(name);
    if (text === undefined) return undefined;
    const bytes = parseSize(text);
    if (bytes === undefined) throw badUrl(`${this.scheme} ${name} must be a size like 64MiB: ${text}`);
    return bytes;
  }

  /** Takes a switch: "on" or "off". */
  takeSwitch(name: string, fallback: boolean): boolean {
    const text = this.take(name);
    if (text === undefined) return fallback;
    if (text !== "on" && text !== "off") throw badUrl(`${this.scheme} ${name} must be on or off: ${text}`);
    return text === "on";
  }

  /** Throws bad_request if any parameter has not been taken. */
  finish(): void {
    const [unknown] = this.#parameters.keys();
    if (unknown !== undefined) throw badUrl(`${this.scheme} unknown parameter: ${unknown}`);
  }
}

/** The error for a tier's URL that is not valid. */
export function badUrl(what: string, cause?: unknown): VitrineError {
  return new VitrineError("bad_request", `read L2 URL: ${what}`, { cause });
}

/**
 * Access to folders for the owner of the tiers, in this thread or another. `onDropped` is called with each segment
 * whose file was removed.
 */
export interface FolderOwner {
  store(tier: number, onDropped: (segment: number) => void): AdapterFolder;
}

/** Access to the folders of another thread, for reading. */
export interface FolderLine {
  reader(tier: number, onDropped: (segment: number) => void): FolderCalls;
}

/** The context of an adapter, in addition to its URL. */
export interface TierContext {
  /** The tier's name, unique among the tiers. */
  readonly name: string;
  /** The tier's index, from 0. */
  readonly tier: number;
  readonly publish: Publish<EventMap>;
  readonly clock: Clock;
  /** Names this server to other servers. */
  readonly serverId: string;
  /** Default: none. */
  readonly onRemoved?: TierRemovalListener;
}

/** A tier described by its URL, not opened yet. */
export interface TierPlan {
  /** The absolute path of the folder that the tier uses exclusively, if it has one. */
  readonly folder?: string;
  /** A unique name of anything else that the tier uses exclusively. */
  readonly storeId?: string;
  /** Opens the tier for its owner; a file tier uses its folder from `folders`, if given. Throws tier_failed. */
  open(context: TierContext & { readonly folders?: FolderOwner | undefined }): Promise<L2Adapter>;
  /** Opens the tier for a thread that only reads (default: `open`). Throws tier_failed. */
  openReader?(context: TierContext & { readonly line: FolderLine }): Promise<L2Reader>;
  /** Opens the folder as its owner; missing if the tier has no folder. Throws tier_failed. */
  own?(
    context: TierContext & {
      readonly onSegmentDropped: (segment: number) => void;
      readonly onTrouble: (trouble: string | undefined) => void;
    },
  ): Promise<FolderKeeper>;
}

/** A kind of adapter. */
export interface AdapterKind {
  /** The tier's name unless the URL has `?name=`; the second tier of a kind gets a "2" appended, and so on. */
  readonly defaultName: string;
  /** True if all threads that open the same URL share the same objects. */
  readonly isShared: boolean;
  /** True if its objects must stay as they are: neither compressed nor encrypted (default: false). */
  readonly isPlain?: boolean;
  /** Reads the parameters from the URL and checks that none is left over; opens nothing. Throws bad_request. */
  plan(url: TierUrl): TierPlan;
}
