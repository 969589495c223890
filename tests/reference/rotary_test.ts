import { assert, assertEquals } from "@std/assert";
import { rotary, rotaryBackward, rotaryTables } from "../../lib/reference/rotary.ts";
import { assertGradients, inner, normals } from "./central_difference.ts";

const dims = { b: 2, t: 3, h: 2, c: 4 };

Deno.test("rotaryTables() turns pair i of position p by p base^(-2i/c)", () => {
  const { cos, sin } = rotaryTables(dims, 100, 1);
  assertEquals(cos.length, 6);
  assertEquals(cos[3], Math.cos(2 * 100 ** -0.5));
  assertEquals(sin[4], Math.sin(3));
});

Deno.test("rotary() pairs the halves of a head", () => {
  const tables = { cos: Float64Array.of(0, 1), sin: Float64Array.of(1, 0) };
  assertEquals(
    rotary(Float64Array.of(1, 2, 3, 4), { b: 1, t: 1, h: 1, c: 4 }, tables),
    Float64Array.of(-3, 2, 1, 4),
  );
});

Deno.test("rotary() makes the product of query and key depend on their distance alone", () => {
  const one = { b: 1, t: 1, h: 1, c: 4 };
  const [q, k] = [normals(4, 1), normals(4, 2)];
  const product = (p: number) =>
    inner(rotary(q, one, rotaryTables(one, 1e4, p + 5)), rotary(k, one, rotaryTables(one, 1e4, p)));
  assert(Math.abs(product(0) - product(40)) < 1e3 * Number.EPSILON);
});

Deno.test("rotaryBackward() agrees with central differences", () => {
  const tables = rotaryTables(dims, 100);
  const [x, dy] = [normals(48, 3), normals(48, 4)];
  assertGradients(() => inner(rotary(x, dims, tables), dy), { x }, { x: rotaryBackward(dy, dims, tables) });
});
