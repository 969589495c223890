import { assertEquals } from "@std/assert";
import { orthogonality } from "../../lib/reference/adalora.ts";
import { assertGradients, normals } from "./central_difference.ts";

Deno.test("orthogonality() is zero, with its gradient, where columns are orthonormal", () => {
  assertEquals(orthogonality(Float64Array.of(1, 0, 0, 1), { m: 2, r: 2 }), {
    value: 0,
    gradient: new Float64Array(4),
  });
});

Deno.test("orthogonality() has the gradient that central differences give", () => {
  const x = normals(12, 3);
  const dims = { m: 4, r: 3 };
  assertGradients(() => orthogonality(x, dims).value, { x }, { x: orthogonality(x, dims).gradient });
});
