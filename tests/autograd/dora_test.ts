import { assertEquals, assertLess } from "@std/assert";
import { dora } from "../../lib/autograd/dora.ts";
import { linearRule } from "../../lib/autograd/linear.ts";
import { constant, Tape } from "../../lib/autograd/tape.ts";
import { narrow } from "../../lib/core/half.ts";
import { rowNorms } from "../../lib/ops/magnitude.ts";
import { dora as twin } from "../../lib/reference/dora.ts";
import { dropoutMask } from "../../lib/reference/dropout.ts";
import { effectiveWeight } from "../../lib/reference/effective_weight.ts";
import { rowNorms as twinNorms } from "../../lib/reference/magnitude.ts";
import { expectClose } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import { expectGradient, gradients, normals, type RuleCase } from "./rule_case.ts";

const gpu = await testDevice();
const r = 2;
const scale = 0.7;
const KEY = [5, 9] as const;

/** `n` decides whether V is kept for the backward pass. The twin has the norms at its inputs as constants. */
function layer(n: number, inner: number, out: number, p: number, started = false): RuleCase {
  const dims = { n, in: inner, out };
  const shapes = [[n, inner], [out, inner], [r, inner], [out, r], [out]];
  const [, w, a, b] = shapes.map((shape, i) => Float64Array.from(normals(shape, i)));
  const [a0, b0] = [normals([r, inner], 20), normals([out, r], 21)];
  const start = started && {
    start: { a: gpu.keep(gpu.upload(a0, [r, inner])), b: gpu.keep(gpu.upload(b0, [out, r])) },
  };
  const before = started && { a0: Float64Array.from(a0), b0: Float64Array.from(b0) };
  const norm = twinNorms(effectiveWeight(w, { rank: r, scale, a, b, ...before }, dims), { d: out, k: inner });
  return {
    name: `dora, n ${n}, in ${inner}, out ${out}${p ? `, dropout ${p}` : ""}${started ? ", started" : ""}`,
    shapes,
    build: (tape, inputs) => dora(tape, inputs, { scale, ...start, ...(p && { dropout: { p, key: KEY } }) }),
    twin: ([x, w, a, b, magnitude]) =>
      twin(
        x,
        w,
        dims,
        { rank: r, scale, a, b, magnitude, ...before },
        p ? dropoutMask(n * inner, p, KEY) : undefined,
        norm,
      ),
  };
}

const cases = [[2, 6, 7], [33, 8, 5], [70, 3, 4]].flatMap((
  [n, i, o],
) => [0, 0.3].flatMap((p) => [layer(n, i, o, p), layer(n, i, o, p, true)]));

for (const rule of cases) {
  Deno.test(`${rule.name}: its gradient is the twin's, added to what a sink holds or returned`, async () => {
    const live = gpu.liveBytes;
    for (const [held, isMade] of [[0, false], [2, false], [0, true]] as const) {
      expectGradient(rule, (await gradients(gpu, rule, { held, isMade })).sinks, held);
    }
    assertEquals(gpu.liveBytes, live);
  });
}

Deno.test("doraRule computes nothing for what is frozen, and less the more is", async () => {
  const rule = layer(5, 6, 7, 0);
  const live = gpu.liveBytes;
  const count = async (...needed: boolean[]) => (await gradients(gpu, rule, { needed })).dispatches;
  assertEquals(await count(false, false, false, false, false), 0);
  assertLess(await count(false, false, true, true, false), await count(false, false, true, true, true));
  assertLess(await count(false, false, true, false, true), await count(false, false, true, true, true));
  assertLess(await count(false, false, true, true, true), await count(true, false, true, true, true));
  assertEquals(gpu.liveBytes, live);
});

for (const dtype of ["f32", "f16", "bf16"] as const) {
  Deno.test(`dora() of W in ${dtype} with B = 0, or B₀ and A₀, and m the norms of W is the base bit for bit`, async () => {
    const [n, inner, out] = [3, 6, 70];
    using tape = new Tape(gpu, { gradients: false });
    using x = gpu.upload(normals([n, inner], 0), [n, inner]);
    using w = gpu.uploadHost({ dtype, shape: [out, inner], bytes: narrow(dtype, normals([out, inner], 1)) });
    using a = gpu.upload(normals([r, inner], 2), [r, inner]);
    using b = gpu.upload(new Float32Array(out * r), [out, r]);
    using wide = tape.keep(tape.apply(linearRule, [constant(x), constant(w)], {})[0]);
    using dense = gpu.upload(await gpu.read(w), [out, inner]);
    using m = rowNorms(gpu, dense);
    const y = dora(tape, [x, w, a, b, m].map(constant), { scale });
    expectClose(await gpu.read(y.value), await gpu.read(wide), 0, "y");
    using b0 = gpu.upload(normals([out, r], 3), [out, r]);
    const started = dora(tape, [x, w, a, b0, m].map(constant), { scale, start: { a, b: b0 } });
    expectClose(await gpu.read(started.value), await gpu.read(wide), 0, "y of a branch that has a start");
  });
}
