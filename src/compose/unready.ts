import type { StorageOutage } from "./cluster/board.ts";

/** What keeps traffic away. */
export interface Unreadiness {
  /** Between the end of the start and the begin of the stop. */
  readonly isServing: boolean;
  readonly storageOutage: StorageOutage | undefined;
  readonly hasTrouble: boolean;
}

/** Why traffic may not come, for /readyz; undefined: it may. */
export function unready({ isServing, storageOutage, hasTrouble }: Unreadiness): string | undefined {
  if (!isServing) return "starting or stopping";
  if (storageOutage === "gone") return "the storage thread has ended and is being started again";
  if (storageOutage !== undefined) return `the storage thread has stood still for ${storageOutage.seconds} s`;
  return hasTrouble ? "a tier cannot be used" : undefined;
}
