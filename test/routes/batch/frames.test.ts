import { expect, test } from "bun:test";
import fc from "fast-check";
import { FrameBlocks, frameHead, FrameReader } from "../../../routes/batch/frames.ts";

const frame = fc.record({
  header: fc.dictionary(fc.string(), fc.string({ unit: "binary" }), { maxKeys: 3 }),
  body: fc.uint8Array({ maxLength: 300 }),
});

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

function readerOf(bytes: Uint8Array, cuts: readonly number[]): FrameReader {
  const ends = [...cuts.filter((cut) => cut <= bytes.length).toSorted((a, b) => a - b), bytes.length];
  let at = 0;
  let chunk = new Uint8Array(0);
  return new FrameReader(() => {
    const end = ends.shift();
    if (end === undefined) return Promise.resolve(undefined);
    // The memory of a chunk is used again when the next one is asked for.
    chunk.fill(0);
    chunk = bytes.slice(at, end);
    at = end;
    return Promise.resolve(chunk);
  });
}

async function readAll(reader: FrameReader): Promise<readonly { header: unknown; body: Uint8Array }[]> {
  const found = [];
  for (let next = await reader.head(); next !== undefined; next = await reader.head()) {
    const parts: Uint8Array[] = [];
    for (let piece = await reader.piece(); piece !== undefined; piece = await reader.piece()) {
      expect(piece.length).toBeGreaterThan(0);
      parts.push(piece.slice());
    }
    expect(joined(parts).length).toBe(next.bodyBytes);
    found.push({ header: next.header, body: joined(parts) });
  }
  return found;
}

test("frames are read as they were written, however their bytes are cut into chunks", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(frame, { maxLength: 5 }), fc.array(fc.nat(2000)), async (frames, cuts) => {
      const bytes = joined(frames.flatMap(({ header, body }) => [frameHead(header, body.length), body]));
      expect(await readAll(readerOf(bytes, cuts))).toEqual(
        frames.map(({ header, body }) => ({ header: JSON.parse(JSON.stringify(header)), body })),
      );
    }),
  );
});

test("what is not read of a body is passed over", async () => {
  const bytes = joined([frameHead({ a: 1 }, 500), new Uint8Array(500), frameHead({ b: 2 }, 1), new Uint8Array([7])]);
  for (const cuts of [[], [30], [100, 200, 300]]) {
    const reader = readerOf(bytes, cuts);
    expect((await reader.head())?.header).toEqual({ a: 1 });
    expect((await reader.piece())?.length).toBeGreaterThan(0);
    expect((await reader.head())?.header).toEqual({ b: 2 });
    expect([await reader.piece(), await reader.piece(), await reader.head()]).toEqual([
      new Uint8Array([7]),
      undefined,
      undefined,
    ]);
  }
});

test("a body of frames that is cut off anywhere but between two frames is refused", async () => {
  const heads = [frameHead({ a: 1 }, 3), new Uint8Array(3), frameHead({ b: 2 }, 0), frameHead({ c: "é" }, 2)];
  const whole = joined([...heads, new Uint8Array(2)]);
  const between = new Set([0, (heads[0]?.length ?? 0) + 3, joined(heads.slice(0, 3)).length, whole.length]);
  for (let end = 0; end <= whole.length; end++) {
    const reader = readerOf(whole.subarray(0, end), []);
    const outcome = await readAll(reader).then(() => "read", (error) => error.code);
    expect([end, outcome, reader.isBroken]).toEqual([
      end,
      between.has(end) ? "read" : "bad_request",
      !between.has(end),
    ]);
  }
});

test("a header takes up to 64 KiB, and a body has a length that a number can hold", async () => {
  const longest = 64 * 1024;
  const head = (text: string) => frameHead({ a: text }, 0);
  const overhead = frameHead({ a: "" }, 0).length - 12;
  expect((await readAll(readerOf(head("x".repeat(longest - overhead)), []))).length).toBe(1);
  const over = readAll(readerOf(head("x".repeat(longest - overhead + 1)), []));
  expect(await over.catch((error) => error.message)).toBe(
    "parse frames: a header of 65537 bytes, more than 65536",
  );
  const endless = frameHead({}, 0);
  endless.fill(255, 4, 12);
  expect((await readerOf(frameHead({}, Number.MAX_SAFE_INTEGER), []).head())?.bodyBytes).toBe(2 ** 53 - 1);
  expect(await readAll(readerOf(endless, [])).catch((error) => error.code)).toBe("bad_request");
});

test("a frame that is begun in a block is the frame, wherever the block ends", () => {
  const header = { key: "é\u{1f98a}", status: 200 };
  const head = frameHead(header, 5e12);
  for (const filled of [0, 1, 256 * 1024 - 100, 256 * 1024 - 40, 256 * 1024 - 12, 256 * 1024 - 1]) {
    const blocks = new FrameBlocks();
    blocks.append(new Uint8Array(filled));
    blocks.begin(header, 5e12);
    expect(joined(blocks.takeAll()).subarray(filled)).toEqual(new Uint8Array(head));
  }
});

test("blocks hold what was appended, in order, and give away each byte once", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ bytes: fc.nat(600_000), take: fc.constantFrom("nothing", "full", "all") }), {
        maxLength: 6,
      }),
      (steps) => {
        const blocks = new FrameBlocks();
        const given: number[] = [];
        let appended = 0;
        let taken = 0;
        for (const { bytes, take } of steps) {
          blocks.append(new Uint8Array(bytes).map((_, i) => (appended + i) % 251));
          appended += bytes;
          const parts = take === "nothing" ? [] : take === "full" ? blocks.takeFull() : blocks.takeAll();
          for (const part of parts) {
            expect(part.every((byte, i) => byte === (taken + i) % 251)).toBe(true);
            taken += part.length;
            given.push(part.length);
          }
          if (take === "all") expect(taken).toBe(appended);
          else if (take === "full") expect(appended - taken).toBeLessThan(256 * 1024);
        }
        expect(given.every((length) => length > 0 && length <= 256 * 1024)).toBe(true);
      },
    ),
    { numRuns: 10 },
  );
});
