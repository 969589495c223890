import { assertEquals } from "@std/assert";
import { siluGate, siluGateBackward } from "../../lib/reference/silu_gate.ts";
import { assertGradients, inner, normals } from "./central_difference.ts";

Deno.test("siluGate() is the value for large gates and zero for very negative ones", () => {
  assertEquals(
    siluGate(Float64Array.of(100, 0, -800), Float64Array.of(2, 3, 4)),
    Float64Array.of(200, 0, -0),
  );
});

Deno.test("siluGateBackward() agrees with central differences", () => {
  const [g, u, dh] = [normals(9, 1).map((x) => 3 * x), normals(9, 2), normals(9, 3)];
  const { dg, du } = siluGateBackward(g, u, dh);
  assertGradients(() => inner(siluGate(g, u), dh), { g, u }, { g: dg, u: du });
});
