import { clock } from "./clock.ts";
import type { HostileCase } from "./hostile_case.ts";
import { saysWhy } from "./says_why.ts";

/** Every case, in the order in which they run. */
export const hostileCases: readonly HostileCase[] = [clock, saysWhy];
