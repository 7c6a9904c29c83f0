/** The tag under which loads stage in L1: one load per key among all threads. */
export const LOAD_TAG = "load";
