import { assertEquals } from "@std/assert";
import { geluGate, geluGateBackward } from "../../lib/reference/gelu_gate.ts";
import { assertGradients, inner, normals } from "./central_difference.ts";

Deno.test("geluGate() is the value for large gates and zero for very negative ones", () => {
  assertEquals(
    geluGate(Float64Array.of(100, 0, -800), Float64Array.of(2, 3, 4)),
    Float64Array.of(200, 0, -0),
  );
});

Deno.test("geluGateBackward() agrees with central differences", () => {
  const [g, u, dh] = [normals(9, 1).map((x) => 3 * x), normals(9, 2), normals(9, 3)];
  const { dg, du } = geluGateBackward(g, u, dh);
  assertGradients(() => inner(geluGate(g, u), dh), { g, u }, { g: dg, u: du });
});
