import { assertEquals } from "@std/assert";
import { relu, reluBackward } from "../../lib/reference/relu.ts";
import { assertGradients, inner, normals } from "./central_difference.ts";

Deno.test("reluBackward() agrees with central differences, and is 0 at 0", () => {
  const [x, dy] = [normals(9, 1), normals(9, 2)];
  assertGradients(() => inner(relu(x), dy), { x }, { x: reluBackward(x, dy) });
  assertEquals(reluBackward(Float64Array.of(-0, 0), Float64Array.of(1, 1)), Float64Array.of(0, 0));
});
