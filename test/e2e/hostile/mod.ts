import { announcedCase } from "./announced.ts";
import { clear } from "./clear.ts";
import { clock } from "./clock.ts";
import { descriptors } from "./descriptors.ts";
import { diskFull } from "./disk_full.ts";
import { expiry } from "./expiry.ts";
import { folderGone } from "./folder_gone.ts";
import { framing } from "./framing.ts";
import { fullOutput } from "./full_output.ts";
import { frozenBeside } from "./frozen_beside.ts";
import type { HostileCase } from "./hostile_case.ts";
import { indexLocked } from "./index_locked.ts";
import { listingCase } from "./listing.ts";
import { logrotate } from "./logrotate.ts";
import { memory } from "./memory.ts";
import { saysWhy } from "./says_why.ts";
import { stops } from "./stops.ts";
import { storageStuck } from "./storage_stuck.ts";
import { tokens } from "./tokens.ts";
import { watchdog } from "./watchdog.ts";

/** Every case, in the order in which they run. */
export const hostileCases: readonly HostileCase[] = [
  stops,
  clock,
  saysWhy,
  logrotate,
  descriptors,
  framing,
  announcedCase,
  listingCase,
  tokens,
  watchdog,
  memory,
  clear,
  diskFull,
  expiry,
  folderGone,
  indexLocked,
  storageStuck,
  frozenBeside,
  fullOutput,
];
