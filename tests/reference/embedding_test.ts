import { assertEquals, assertThrows } from "@std/assert";
import { embedding, embeddingBackward } from "../../lib/reference/embedding.ts";
import { assertGradients, inner, normals } from "./central_difference.ts";

const dims = { n: 4, d: 3, v: 5 };
const ids = Int32Array.of(2, 0, 2, 4);

Deno.test("embedding() copies the row of each id", () => {
  const w = normals(15, 1);
  assertEquals(embedding(w, ids, dims).subarray(9), w.subarray(12));
});

Deno.test("embeddingBackward() adds up the rows of a repeated id", () => {
  const [w, dx] = [normals(15, 1), normals(12, 2)];
  assertGradients(() => inner(embedding(w, ids, dims), dx), { w }, { w: embeddingBackward(dx, ids, dims) });
});

Deno.test("embedding() refuses an id outside the table", () => {
  assertThrows(
    () => embedding(normals(15, 1), Int32Array.of(0, 5, 0, 0), dims),
    RangeError,
    "Cannot compute embedding with ids[1]: got 5, expected 0 <= id < 5",
  );
});
