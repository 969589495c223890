import { assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { type Batch, batches, batchesInOrder } from "../../lib/datasets/batches.ts";
import type { TokenRow } from "../../lib/datasets/encode.ts";
import type { Dataset } from "../../lib/datasets/load.ts";

function row(...ids: number[]): TokenRow {
  return { ids, mask: ids.map((_, i) => i > 0) };
}

function dataset(kind: Dataset["kind"], ...groups: TokenRow[][]): Dataset {
  return { kind, groups, truncated: 0, skipped: 0 };
}

function take(source: Iterator<Batch>, count: number): Batch[] {
  return Array.from({ length: count }, () => source.next().value as Batch);
}

/** Row i is [i, i + 100, …] of i % 4 + 2 tokens. */
const ROWS = dataset(
  "rows",
  Array.from({ length: 7 }, (_, i) => row(...Array.from({ length: i % 4 + 2 }, (_, k) => i + 100 * k))),
);
const OPTIONS = { batchSize: 3, seqLen: 8, seed: 1 };

/** Numbers of the rows of ROWS in a batch: each row's first id. */
function members({ ids, shape: [b, t] }: Batch): number[] {
  return Array.from({ length: b }, (_, i) => ids[i * t]);
}

Deno.test("batches() shifts targets, pads on the right with 0 and masks with -1", () => {
  const rows = dataset("batches", [row(1, 2, 3), { ids: [4, 5, 6, 7], mask: [false, false, true, true] }]);
  const [batch] = take(batches(rows, OPTIONS), 1);
  assertEquals(batch.shape, [2, 3]);
  assertEquals([...batch.ids], [1, 2, 0, 4, 5, 6]);
  assertEquals([...batch.targets], [2, 3, -1, -1, 6, 7]);
  assertEquals(batch.count, 4);
});

Deno.test("batches() shows every row once an epoch, in another order each time, in full batches", () => {
  const seen = take(batches(ROWS, OPTIONS), 7).flatMap(members);
  const epochs = [0, 1, 2].map((epoch) => seen.slice(7 * epoch, 7 * epoch + 7));
  for (const epoch of epochs) assertEquals(epoch.toSorted(), [0, 1, 2, 3, 4, 5, 6]);
  assertNotEquals(epochs[0], epochs[1]);
  assertNotEquals(epochs[1], epochs[2]);
});

Deno.test("batches() resumed at a position gives the same batches as without a break", () => {
  const straight = take(batches(ROWS, OPTIONS), 12);
  for (const cut of [0, 1, 5, 9]) {
    const position = cut === 0 ? 0 : straight[cut - 1].position;
    assertEquals(take(batches(ROWS, { ...OPTIONS, position }), 12 - cut), straight.slice(cut));
  }
});

Deno.test("batches() depends on the seed alone", () => {
  assertEquals(take(batches(ROWS, OPTIONS), 5), take(batches(ROWS, OPTIONS), 5));
  assertNotEquals(take(batches(ROWS, OPTIONS), 5), take(batches(ROWS, { ...OPTIONS, seed: 2 }), 5));
});

Deno.test("batches() may be larger than the number of rows", () => {
  const [batch] = take(batches(ROWS, { ...OPTIONS, batchSize: 17 }), 1);
  assertEquals(batch.shape[0], 17);
});

Deno.test("batches() of text predicts every token after the first once an epoch, up to the rest", () => {
  const text = dataset("text", [row(0, 1, 2, 3, 4), row(5, 6, 7, 8, 9, 10)]);
  const found = take(batches(text, { batchSize: 1, seqLen: 3, seed: 4 }), 3);
  assertEquals(found.map(({ shape }) => shape), [[1, 3], [1, 3], [1, 3]]);
  const starts = found.map(({ ids }) => ids[0]).toSorted();
  assertEquals(starts, [0, 3, 6]);
  // Token 5 begins the second text, so nothing predicts it.
  assertEquals(found.flatMap(({ targets }) => [...targets]).toSorted((a, b) => a - b), [
    -1,
    1,
    2,
    3,
    4,
    6,
    7,
    8,
    9,
  ]);
});

Deno.test("batches() of a text shorter than seqLen uses all of it", () => {
  const [batch] = take(batches(dataset("text", [row(1, 2, 3)]), { batchSize: 2, seqLen: 10, seed: 1 }), 1);
  assertEquals([...batch.ids], [1, 2, 1, 2]);
});

Deno.test("batches() of given batches keeps their order and ends with them", () => {
  const given = dataset("batches", [row(1, 2)], [row(3, 4), row(5, 6)], [row(7, 8)]);
  assertEquals([...batches(given, OPTIONS)].map(members), [[1], [3, 5], [7]]);
  assertEquals([...batches(given, { ...OPTIONS, position: 2 })].map(members), [[7]]);
});

Deno.test("batchesInOrder() gives all rows once, with the rest, up to a limit", () => {
  assertEquals([...batchesInOrder(ROWS, OPTIONS)].map(members), [[0, 1, 2], [3, 4, 5], [6]]);
  assertEquals([...batchesInOrder(ROWS, { ...OPTIONS, limit: 4 })].map(members), [[0, 1, 2], [3]]);
  const text = dataset("text", [row(0, 1, 2, 3, 4, 5, 6, 7)]);
  const targets = [...batchesInOrder(text, { batchSize: 2, seqLen: 3 })].flatMap((
    batch,
  ) => [...batch.targets]);
  assertEquals(targets.filter((id) => id >= 0), [1, 2, 3, 4, 5, 6, 7]);
  assertEquals([...batchesInOrder(dataset("batches", [row(1, 2)], [row(3, 4)]), OPTIONS)].length, 1);
});

Deno.test("batches() refuses rows longer than seqLen + 1 and data without rows", () => {
  assertThrows(
    () => batches(ROWS, { ...OPTIONS, seqLen: 3 }).next(),
    RangeError,
    "Cannot make batches with seqLen 3: found a row of 5 tokens, expected at most 4",
  );
  assertThrows(() => batches(dataset("rows", []), OPTIONS).next(), RangeError, "found no row");
});
