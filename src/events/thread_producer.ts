import type { Clock } from "../core/clock.ts";
import type { Publish } from "../core/events.ts";
import { bellName, type OpenBell, openBell } from "./bell.ts";
import type { EventMap } from "./catalogue.ts";
import { Segment } from "./memory/segment.ts";
import { EventProducer } from "./producer.ts";
import { type Schedule, unrefTimer } from "./timer.ts";

/** What a thread needs to publish to the bus of another one; plain data. */
export interface ProducerSeat {
  /** The bus's name. */
  readonly bus: string;
  /** The name under which the bus expects this producer. */
  readonly id: string;
  /** From allocateSegment, the same that the bus was given. */
  readonly memory: SharedArrayBuffer;
  /** Most individual events that wait. */
  readonly queueSize: number;
}

/** Settings of a producer on a thread of its own. */
export interface ThreadProducerOptions {
  readonly clock: Clock;
  /** Default: a timer that does not hold the process. */
  readonly schedule?: Schedule;
  /** Default: a BroadcastChannel. */
  readonly open?: OpenBell;
  /** How long an individual event may wait before the bus is told to look. Default 10. */
  readonly ringAfterMs?: number;
}

/** A thread's end of a bus that collects on another one. */
export interface ThreadProducer {
  readonly publish: Publish<EventMap>;
  /** What is published from now on is ignored. What was published before lies in memory: nobody need wait for it. */
  stop(): void;
}

/** Publishes to an EventBus of another thread. */
export function openProducer(
  { bus, id, memory, queueSize }: ProducerSeat,
  { clock, schedule = unrefTimer, open = openBell, ringAfterMs = 10 }: ThreadProducerOptions,
): ThreadProducer {
  const bell = open(bellName(bus, id));
  const ring = (written: number) => bell.ring(written);
  const producer = new EventProducer({ segment: new Segment(memory), queueSize, clock, schedule, ringAfterMs, ring });
  return {
    publish: producer.publish,
    stop() {
      producer.stop();
      bell.close();
    },
  };
}
