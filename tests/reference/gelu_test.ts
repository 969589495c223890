import { gelu, geluBackward } from "../../lib/reference/gelu.ts";
import { assertGradients, inner, normals } from "./central_difference.ts";

Deno.test("geluBackward() agrees with central differences", () => {
  const [x, dy] = [normals(9, 1).map((value) => 3 * value), normals(9, 2)];
  assertGradients(() => inner(gelu(x), dy), { x }, { x: geluBackward(x, dy) });
});
