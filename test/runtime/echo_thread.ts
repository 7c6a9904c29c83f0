/** A thread for thread.test.ts: sends back its data and its messages, for which it listens later than they come. */
import { setImmediate as turn } from "node:timers/promises";
import { startedThread } from "../../src/runtime/thread.ts";

const thread = await startedThread<{ readonly name: string }, string, string>();
thread.post(thread.data.name);
for (let turns = 0; turns < 20; turns += 1) await turn();
thread.listen((text) => thread.post(text));
