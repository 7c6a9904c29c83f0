/** A thread for thread.test.ts: its module cannot be loaded. */
throw new Error("load thread: on purpose");
