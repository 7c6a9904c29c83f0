/**
 * Test files and folders that take more than five seconds of CPU, the longest first. Each file has a process of its
 * own; so have those that start threads as they load, which would all run at once in a shared one.
 */
export const apart = [
  "test/compose/cluster.test.ts",
  "test/storage/linearizability.test.ts",
  "test/compose/cluster/file_thread.test.ts",
  "test/l2/encoding/encoding.test.ts",
  "test/l2/file/adapter.test.ts",
  "test/l1/sharing/",
  "test/storage/threads.test.ts",
  "test/compose/",
];

/** Most files of a shared process. */
const batchSize = 8;

/** Splits test files into batches, each for one process. The longest come first, so that none runs alone at the end. */
export function batchesOf(files: readonly string[]): readonly (readonly string[])[] {
  const rankOf = (file: string) => apart.findIndex((path) => file.startsWith(path));
  const alone = files.filter((file) => rankOf(file) !== -1).toSorted((a, b) => rankOf(a) - rankOf(b));
  const together = files.filter((file) => rankOf(file) === -1);
  const count = Math.ceil(together.length / batchSize);
  return [
    ...alone.map((file) => [file]),
    ...Array.from({ length: count }, (_, batch) => together.slice(batch * batchSize, (batch + 1) * batchSize)),
  ];
}
