import { assert } from "@std/assert";
import { rmsNorm, rmsNormBackward } from "../../lib/reference/rms_norm.ts";
import { assertGradients, inner, normals } from "./central_difference.ts";

Deno.test("rmsNorm() gives rows of mean square w² and ignores their scale", () => {
  const dims = { n: 2, d: 8 };
  const row = normals(8, 1);
  const y = rmsNorm(
    Float64Array.of(...row, ...row.map((v) => 1e6 * v)),
    new Float64Array(8).fill(2),
    dims,
    0,
  );
  for (const half of [y.subarray(0, 8), y.subarray(8)]) {
    assert(Math.abs(inner(half, half) / 8 - 4) < 16 * Number.EPSILON);
  }
});

Deno.test("rmsNormBackward() agrees with central differences", () => {
  const dims = { n: 3, d: 7 };
  const [x, w, dy] = [normals(21, 2), normals(7, 3), normals(21, 4)];
  const { dx, dw } = rmsNormBackward(x, w, dy, dims, 0.1);
  assertGradients(() => inner(rmsNorm(x, w, dims, 0.1), dy), { x, w }, { x: dx, w: dw });
});
