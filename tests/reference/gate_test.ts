import { assertEquals } from "@std/assert";
import { gate, gateBackward } from "../../lib/reference/gate.ts";
import { assertGradients, inner, normals } from "./central_difference.ts";

for (const phi of ["silu", "gelu", "relu"] as const) {
  Deno.test(`gate() by ${phi} is the value for large gates and zero for very negative ones`, () => {
    const h = gate(phi, Float64Array.of(100, 0, -800), Float64Array.of(2, 3, 4));
    assertEquals([...h].map(Math.abs), [200, 0, 0]);
  });

  Deno.test(`gateBackward() by ${phi} agrees with central differences`, () => {
    const [g, u, dh] = [normals(9, 1).map((x) => 3 * x), normals(9, 2), normals(9, 3)];
    const { dg, du } = gateBackward(phi, g, u, dh);
    assertGradients(() => inner(gate(phi, g, u), dh), { g, u }, { g: dg, u: du });
  });
}
