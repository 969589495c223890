import { assertEquals, assertThrows } from "@std/assert";
import { bindAxes, size } from "../../lib/core/shape.ts";

Deno.test("size() is 1 for a scalar and 0 with an empty axis", () => {
  assertEquals([size([]), size([3, 4]), size([3, 0])], [1, 12, 0]);
});

Deno.test("bindAxes() binds names to lengths, and says which rule a shape breaks", () => {
  const shapes = { "x [n, in]": [3, 4], "w [out, in]": [5, 4], "s []": [], "two [2]": [2] };
  assertEquals(bindAxes("linear", shapes), { n: 3, in: 4, out: 5 });
  assertThrows(
    () => bindAxes("linear", { "w [out, in]": [5, 4], "x [n, in]": [3, 5] }),
    RangeError,
    "Cannot compute linear with x [n, in]: got shape [3, 5], expected in = 4",
  );
  assertThrows(() => bindAxes("norm", { "w [d]": [3, 1] }), RangeError, "expected 1 axes");
  assertThrows(() => bindAxes("norm", { "w [2]": [3] }), RangeError, "expected 2 = 2");
});
