import { announcedCase } from "./announced.ts";
import { descriptors } from "./descriptors.ts";
import { framing } from "./framing.ts";
import type { HostileCase } from "./hostile_case.ts";
import { listingCase } from "./listing.ts";
import { stops } from "./stops.ts";
import { strangerPage } from "./stranger_page.ts";

/** Every case, in the order in which they run. */
export const hostileCases: readonly HostileCase[] = [
  stops,
  announcedCase,
  listingCase,
  strangerPage,
  descriptors,
  framing,
];
