import { assert, assertEquals } from "@std/assert";
import { attention, attentionBackward } from "../../lib/reference/attention.ts";
import { assertGradients, inner, normals } from "./central_difference.ts";

const dims = { b: 2, t: 5, h: 4, hk: 2, c: 3 };
const [q, k, v] = [normals(120, 1), normals(60, 2), normals(60, 3)];

Deno.test("attention() of the first token is its value, shared by the heads of a group", () => {
  const { out, logSumExp } = attention(q, k, v, dims);
  for (let head = 0; head < 4; head++) {
    const group = Math.floor(head / 2);
    const got = out.subarray(head * 3, head * 3 + 3);
    got.forEach((y, i) => assert(Math.abs(y - v[group * 3 + i]) < 8 * Number.EPSILON));
  }
  assertEquals(logSumExp.length, 40);
  assert(Math.abs(logSumExp[0] - inner(q.subarray(0, 3), k.subarray(0, 3)) / Math.sqrt(3)) < 1e-15);
});

Deno.test("attention() never reads a later token", () => {
  const later = k.slice();
  later.fill(9, 4 * 6, 5 * 6);
  const before = attention(q, k, v, dims).out.subarray(0, 4 * 12);
  assertEquals(attention(q, later, v, dims).out.subarray(0, 4 * 12), before);
});

Deno.test("attention() survives scores beyond the range of exp", () => {
  const { out } = attention(q.map((x) => 1e4 * x), k, v, dims);
  assert(out.every(Number.isFinite));
});

Deno.test("attention() with a window never reads a token before it", () => {
  const earlier = k.slice();
  earlier.fill(9, 0, 2 * 6);
  const last = (keys: Float64Array) => attention(q, keys, v, { ...dims, window: 3 }).out.subarray(4 * 12, 60);
  assertEquals(last(earlier), last(k));
  assertEquals(attention(q, k, v, { ...dims, window: 5 }), attention(q, k, v, dims));
});

for (const window of [undefined, 2]) {
  Deno.test(`attentionBackward() agrees with central differences, window ${window}`, () => {
    const shape = { ...dims, ...(window && { window }) };
    const dout = normals(120, 4);
    const { dq, dk, dv } = attentionBackward(q, k, v, attention(q, k, v, shape), dout, shape);
    assertGradients(() => inner(attention(q, k, v, shape).out, dout), { q, k, v }, { q: dq, k: dk, v: dv });
  });
}
