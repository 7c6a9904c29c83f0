import { type Clock, systemClock } from "../../core/clock.ts";
import { type Schedule, unrefTimer } from "../timer.ts";
import { openBroadcast } from "./broadcast.ts";
import type { OpenChannel } from "./channel.ts";

/** What both ends of the bus across threads are given. */
export interface ChannelOptions {
  /** The same at both ends, and different for every server of a process. */
  readonly channelName: string;
  /** Default: the system's. */
  readonly clock?: Clock;
  /** Default: a timer that does not hold the process. */
  readonly schedule?: Schedule;
  /** Default: a BroadcastChannel. */
  readonly open?: OpenChannel;
  /** How long to wait before a message is said again to which nothing came back. Default 100. */
  readonly retryMs?: number;
}

/** The options with their defaults. */
export type ChannelSettings = Required<ChannelOptions>;

/** Fills in the defaults. */
export function channelSettings(
  { channelName, clock = systemClock, schedule = unrefTimer, open = openBroadcast, retryMs = 100 }: ChannelOptions,
): ChannelSettings {
  return { channelName, clock, schedule, open, retryMs };
}

/** The channel of one producer: batches of one never wake another. */
export function channelOf(channelName: string, producer: string): string {
  return `${channelName}/${producer}`;
}
