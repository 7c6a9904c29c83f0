import { announcedCase } from "./announced.ts";
import type { HostileCase } from "./hostile_case.ts";
import { listingCase } from "./listing.ts";

/** Every case, in the order in which they run. */
export const hostileCases: readonly HostileCase[] = [announcedCase, listingCase];
