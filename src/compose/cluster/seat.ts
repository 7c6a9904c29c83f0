/** A worker's place in the cluster, and which thread fills it: a new one after each death. */
export interface Seat {
  /** 0 and up. */
  readonly place: number;
  /** Unique among all threads of the process, main's being 1: their holder number in L1. */
  readonly holder: number;
}
