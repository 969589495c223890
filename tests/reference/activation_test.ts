import { assertEquals } from "@std/assert";
import { activate, activateBackward } from "../../lib/reference/activation.ts";
import { assertGradients, inner, normals } from "./central_difference.ts";

for (const phi of ["silu", "gelu", "relu"] as const) {
  Deno.test(`activate() by ${phi} keeps large numbers, and is zero for very negative ones`, () => {
    const y = activate(phi, Float64Array.of(100, 0, -800));
    assertEquals([...y].map(Math.abs), [100, 0, 0]);
  });

  Deno.test(`activateBackward() by ${phi} agrees with central differences`, () => {
    const [x, dy] = [normals(9, 1).map((value) => 3 * value), normals(9, 2)];
    assertGradients(() => inner(activate(phi, x), dy), { x }, { x: activateBackward(phi, x, dy) });
  });
}

Deno.test("activateBackward() by relu is 0 at 0", () => {
  assertEquals(
    activateBackward("relu", Float64Array.of(-0, 0), Float64Array.of(1, 1)),
    Float64Array.of(0, 0),
  );
});
