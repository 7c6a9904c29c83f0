import { VitrineError } from "../core/errors.ts";
import type { Publish } from "../core/events.ts";
import type { EventMap } from "../events/catalogue.ts";
import type { L1, Quota, TenantQuota } from "../l1/l1.ts";
import type { QuotaFile } from "./quota_file.ts";

/** Tenants' quotas of L1, over all threads. The only interface to them that routes use. */
export interface Quotas {
  /** True if quotas are kept over a restart. */
  readonly areKept: boolean;
  /** A tenant's quota; undefined: it has none. */
  get(tenant: string): Promise<CountedQuota | undefined>;
  /** All quotas, in the order of their tenants. */
  list(): Promise<readonly CountedQuota[]>;
  /**
   * Sets a tenant's quota, or ends it (undefined); from now on, for all threads. Resolves once everything of the tenant
   * is counted and the quota is kept; false: the tenant that should lose its quota has none. Throws too_many_quotas,
   * and quota_not_kept if it is in effect but could not be written down.
   */
  set(tenant: string, quota: Quota | undefined): Promise<boolean>;
  /** Bytes of L1 that a tenant uses, with a quota or without one. Looks at all entries of L1 in the latter case. */
  usedBy(tenant: string): Promise<number>;
}

/** A quota whose use is known. */
export interface CountedQuota extends TenantQuota {
  readonly usedBytes: number;
}

/** Options of TenantQuotas. */
export interface TenantQuotasOptions {
  readonly l1: Pick<L1, "setQuota" | "settleQuotas" | "quotas" | "usedBy">;
  /** undefined: quotas are gone after a restart. */
  readonly file: QuotaFile | undefined;
  readonly publish: Publish<EventMap>;
  /** Resolves in a later turn of the event loop. */
  readonly turn: () => Promise<void>;
}

/** The quotas of L1, and the file in which they are kept. */
export class TenantQuotas implements Quotas {
  readonly areKept: boolean;
  readonly #options: TenantQuotasOptions;

  constructor(options: TenantQuotasOptions) {
    this.areKept = options.file !== undefined;
    this.#options = options;
  }

  async get(tenant: string): Promise<CountedQuota | undefined> {
    return (await this.list()).find((each) => each.tenant === tenant);
  }

  async list(): Promise<readonly CountedQuota[]> {
    for (;;) {
      await this.#settle();
      const found = this.#options.l1.quotas();
      const counted = found.flatMap(({ usedBytes, ...quota }) =>
        usedBytes === undefined ? [] : { ...quota, usedBytes }
      );
      // Another thread may have set a quota meanwhile, which has yet to be counted.
      if (counted.length === found.length) return counted;
    }
  }

  async set(tenant: string, quota: Quota | undefined): Promise<boolean> {
    const { l1, publish } = this.#options;
    const isSet = l1.setQuota(tenant, quota);
    if (!isSet && quota === undefined) return false;
    if (!isSet) {
      throw new VitrineError("too_many_quotas", `set quota: as many tenants have one as may: ${l1.quotas().length}`);
    }
    publish("quota.changed", {
      tenant,
      action: quota === undefined ? "removed" : quota.isStrict ? "strict" : "soft",
      limitBytes: String(quota?.limitBytes ?? ""),
    });
    await this.#settle();
    await this.keep();
    return true;
  }

  async usedBy(tenant: string): Promise<number> {
    const quota = await this.get(tenant);
    if (quota !== undefined) return quota.usedBytes;
    let bytes = 0;
    for (const some of this.#options.l1.usedBy(tenant)) {
      bytes += some;
      await this.#options.turn();
    }
    return bytes;
  }

  /** Writes the quotas down, if they are to be kept and the file has others. Throws quota_not_kept. */
  async keep(): Promise<void> {
    const { file, l1 } = this.#options;
    try {
      await file?.keep(() => l1.quotas());
    } catch (cause) {
      throw new VitrineError("quota_not_kept", `write ${file?.path}: the quotas in it are not those in effect`, {
        cause,
      });
    }
  }

  async #settle(): Promise<void> {
    for (const _ of this.#options.l1.settleQuotas()) await this.#options.turn();
  }
}
