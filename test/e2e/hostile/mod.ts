import type { HostileCase } from "./hostile_case.ts";
import { strangerPage } from "./stranger_page.ts";

/** Every case, in the order in which they run. */
export const hostileCases: readonly HostileCase[] = [strangerPage];
