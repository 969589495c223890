import { assertEquals } from "@std/assert";
import { center } from "../../lib/reference/center.ts";
import { assertGradients, inner, normals } from "./central_difference.ts";

Deno.test("center() is its own gradient", () => {
  const dims = { n: 3, d: 5 };
  const [x, dy] = [normals(15, 1), normals(15, 2)];
  assertGradients(() => inner(center(x, dims), dy), { x }, { x: center(dy, dims) });
  assertEquals(center(Float64Array.of(1, 2, 6), { n: 1, d: 3 }), Float64Array.of(-2, -1, 3));
});
