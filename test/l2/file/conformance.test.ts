import { openOwnFolder } from "../../../src/l2/file/adapter.ts";
import { adapterConformance } from "../conformance.ts";
import { LineAdapter } from "./line.ts";

adapterConformance({
  name: "file, every object in a file of its own",
  persistent: true,
  open: (path, options) =>
    Promise.resolve(openOwnFolder({ ...options, name: "fs", path, sync: false, recordLimitBytes: 0 }).adapter),
});

adapterConformance({
  name: "file over a line",
  persistent: true,
  open: (path, options) => Promise.resolve(new LineAdapter({ ...options, name: "fs", path, sync: false })),
});

adapterConformance({
  name: "file over a line, every object in a file of its own",
  persistent: true,
  open: (path, options) =>
    Promise.resolve(new LineAdapter({ ...options, name: "fs", path, sync: false, recordLimitBytes: 0 })),
});
