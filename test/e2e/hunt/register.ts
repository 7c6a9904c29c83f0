import { type Content, contentOf } from "./content.ts";

/** A write to one key; times count what happened, not seconds. */
interface Write {
  /** undefined: a delete, or that there was nothing at first. */
  readonly content: Content | undefined;
  readonly begin: number;
  /** When it was acknowledged; Infinity as long as it was not. */
  end: number;
}

/** A write under way. */
export interface PendingWrite {
  readonly content: Content | undefined;
  /** It was acknowledged. */
  acknowledge(): void;
}

/** A read under way. */
export interface PendingRead {
  /**
   * Whether a write that fits what was found (undefined: nothing) may be the current one at some moment since the read
   * began.
   */
  accepts(fits: (content: Content | undefined) => boolean): boolean;
  /** The same, when nothing was found that could be taken as seen. */
  mayBe(fits: (content: Content | undefined) => boolean): boolean;
}

/**
 * One key as a register that may be written and read by many at a time. A write is outdated for a read if it had ended
 * before another write began that had taken effect when the read began: because it was acknowledged, or because
 * somebody had read it.
 */
export class Register {
  readonly key: number;
  readonly #writes: Write[] = [{ content: undefined, begin: 0, end: 0 }];
  #versions = 0;
  #clock = 0;
  /** The latest begin among the writes known to have taken effect. */
  #newestBegin = 0;

  constructor(key: number) {
    this.key = key;
  }

  beginPut(): PendingWrite {
    return this.#begin(contentOf(this.key, ++this.#versions));
  }

  beginDelete(): PendingWrite {
    return this.#begin(undefined);
  }

  beginRead(): PendingRead {
    const newestBegin = this.#newestBegin;
    const possible = (fits: (content: Content | undefined) => boolean) =>
      this.#writes.filter(({ end, content }) => end >= newestBegin && fits(content));
    return {
      mayBe: (fits) => possible(fits).length > 0,
      accepts: (fits) => {
        const [first, ...others] = possible(fits);
        if (first === undefined) return false;
        // Only if there is no doubt which write was seen.
        if (others.length === 0) this.#takesEffect(first);
        return true;
      },
    };
  }

  /** For a report. */
  describe(): string {
    const recent = this.#writes.slice(-4).map(({ content, begin, end }) =>
      `${content?.header.join(" ") ?? "nothing"} ${begin}-${end}`
    );
    return `${this.#versions} versions, newest begin ${this.#newestBegin}, last writes: ${recent.join("; ")}`;
  }

  #begin(content: Content | undefined): PendingWrite {
    const write: Write = { content, begin: ++this.#clock, end: Infinity };
    this.#writes.push(write);
    return {
      content,
      acknowledge: () => {
        write.end = ++this.#clock;
        this.#takesEffect(write);
      },
    };
  }

  #takesEffect({ begin }: Write): void {
    this.#newestBegin = Math.max(this.#newestBegin, begin);
  }
}
