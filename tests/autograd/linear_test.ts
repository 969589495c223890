import { assertEquals, assertLess } from "@std/assert";
import { linearRule } from "../../lib/autograd/linear.ts";
import { addRule } from "../../lib/autograd/rules.ts";
import { constant, Tape, type Variable } from "../../lib/autograd/tape.ts";
import { narrow, widen } from "../../lib/core/half.ts";
import { dropoutMask } from "../../lib/reference/dropout.ts";
import { linear } from "../../lib/reference/linear.ts";
import { bound, EPS, expectClose } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import { expectGradient, gradients, normals, type RuleCase } from "./rule_case.ts";

const gpu = await testDevice();
const r = 2;
const scale = 0.7;
const KEY = [5, 9] as const;

interface Form {
  start: boolean;
  p: number;
}

/** `n` decides whether the merged weight is kept for the backward pass. */
function adapted(n: number, inner: number, out: number, { start, p }: Form): RuleCase {
  const a0 = normals([r, inner], 70);
  const b0 = normals([out, r], 71);
  return {
    name: `linear, n ${n}, in ${inner}, out ${out}${start ? ", start factors" : ""}${
      p ? `, dropout ${p}` : ""
    }`,
    shapes: [[n, inner], [out, inner], [r, inner], [out, r]],
    build(tape, inputs) {
      const factors = start && { a: gpu.upload(a0, [r, inner]), b: gpu.upload(b0, [out, r]) };
      if (factors) made.push(factors.a, factors.b);
      const adapter = {
        scale,
        ...(factors && { start: factors }),
        ...(p && { dropout: { p, key: KEY } }),
      };
      return tape.apply(linearRule, inputs, { adapter })[0];
    },
    twin: ([x, w, a, b]) =>
      linear(
        x,
        w,
        { n, in: inner, out },
        {
          rank: r,
          scale,
          a,
          b,
          ...(start && { a0: Float64Array.from(a0), b0: Float64Array.from(b0) }),
        },
        p ? dropoutMask(n * inner, p, KEY) : undefined,
      ),
  };
}

const made: Disposable[] = [];
const dispose = () => made.splice(0).forEach((tensor) => tensor[Symbol.dispose]());

const plain: RuleCase = {
  name: "linear without an adapter",
  shapes: [[5, 6], [7, 6]],
  build: (tape, inputs) => tape.apply(linearRule, inputs, {})[0],
  twin: ([x, w]) => linear(x, w, { n: 5, in: 6, out: 7 }),
};

const forms: Form[] = [false, true].flatMap((start) => [0, 0.3].map((p) => ({ start, p })));
const cases = [
  plain,
  ...[[2, 6, 7], [33, 8, 5]].flatMap(([n, i, o]) => forms.map((form) => adapted(n, i, o, form))),
];

for (const rule of cases) {
  Deno.test(`${rule.name}: its gradient is the twin's, added to what a sink holds or returned`, async () => {
    const live = gpu.liveBytes;
    for (const [held, isMade] of [[0, false], [2, false], [0, true]] as const) {
      expectGradient(rule, (await gradients(gpu, rule, { held, isMade })).sinks, held);
      dispose();
    }
    assertEquals(gpu.liveBytes, live);
  });
}

Deno.test("linearRule computes nothing for what is frozen, and less the more is", async () => {
  const rule = adapted(5, 6, 7, { start: true, p: 0 });
  const count = async (x: boolean, w: boolean, a: boolean, b: boolean) => {
    const { dispatches } = await gradients(gpu, rule, { needed: [x, w, a, b] });
    dispose();
    return dispatches;
  };
  assertEquals(await count(false, false, false, false), 0);
  const [onlyA, onlyB, both] = [
    await count(false, false, true, false),
    await count(false, false, false, true),
    await count(false, false, true, true),
  ];
  assertEquals(both, onlyA + onlyB);
  assertLess(await count(true, false, true, false), await count(true, false, true, true));
  assertLess(await count(true, false, true, true), await count(true, true, true, true));
});

Deno.test("linearRule adds to the gradient that its input has so far", async () => {
  // Three layers read one input, as queries, keys and values do.
  const rule: RuleCase = {
    name: "three layers",
    shapes: [[4, 6], [5, 6]],
    build(tape, [x, w]) {
      const [y1] = tape.apply(linearRule, [x, w], {});
      const [y2] = tape.apply(linearRule, [x, w], {});
      const [y3] = tape.apply(linearRule, [x, w], {});
      return sum(tape, sum(tape, y1, y2), y3);
    },
    twin: ([x, w]) => linear(x, w, { n: 4, in: 6, out: 5 }).map((y) => 3 * y),
  };
  const live = gpu.liveBytes;
  expectGradient(rule, (await gradients(gpu, rule)).sinks);
  expectGradient(rule, (await gradients(gpu, rule, { isMade: true })).sinks);
  assertEquals(gpu.liveBytes, live);
});

/** Three rows, and a single one, which goes another way, once with rows of W that are no multiple of four. */
const READS = [[3, 6], [1, 6], [1, 8]].flatMap(([n, inner]) =>
  (["f16", "bf16"] as const).map((dtype) => [dtype, n, inner] as const)
);

for (const [dtype, n, inner] of READS) {
  Deno.test(`linearRule reads a weight stored as ${dtype} for x [${n}, ${inner}], with and without an adapter`, async () => {
    const live = gpu.liveBytes;
    const out = 7;
    const bytes = narrow(dtype, normals([out, inner], 1));
    const wide = Float64Array.from(widen(dtype, bytes));
    const x = normals([n, inner], 0);
    using tape = new Tape(gpu);
    using tx = gpu.upload(x, [n, inner]);
    using tw = gpu.uploadHost({ dtype, shape: [out, inner], bytes });
    const [y] = tape.apply(linearRule, [constant(tx), constant(tw)], {});
    const expected = linear(Float64Array.from(x), wide, { n, in: inner, out });
    const magnitude = linear(Float64Array.from(x, Math.abs), wide.map(Math.abs), { n, in: inner, out });
    expectClose(await gpu.read(y.value), expected, bound(inner, magnitude, EPS), "y");

    // With the factors where they started, the layer is the base's bit for bit.
    using a = gpu.upload(normals([r, inner], 2), [r, inner]);
    using b = gpu.upload(normals([out, r], 3), [out, r]);
    const inputs = [constant(tx), constant(tw), constant(a), constant(b)];
    const [started] = tape.apply(linearRule, inputs, { adapter: { scale, start: { a, b } } });
    expectClose(await gpu.read(started.value), await gpu.read(y.value), 0, "y at the start");

    const [a0, b0] = [normals([r, inner], 4), normals([out, r], 5)];
    using ta = gpu.upload(a0, [r, inner]);
    using tb = gpu.upload(b0, [out, r]);
    const [moved] = tape.apply(linearRule, inputs, { adapter: { scale, start: { a: ta, b: tb } } });
    const twin = (part: (value: number) => number, start: number) => {
      const of = (values: Iterable<number>) => Float64Array.from(values, part);
      const factors = { a: of(normals([r, inner], 2)), b: of(normals([out, r], 3)), a0: of(a0), b0: of(b0) };
      const with0 = { ...factors, b0: factors.b0.map((value) => start * value) };
      return linear(of(x), of(wide), { n, in: inner, out }, { rank: r, scale, ...with0 });
    };
    const sizes = bound(inner + 2 * r, twin(Math.abs, -1), EPS);
    expectClose(await gpu.read(moved.value), twin((value) => value, 1), sizes, "y of a trained adapter");
    tape.dispose();
    assertEquals(gpu.liveBytes - live, [tx, tw, a, b, ta, tb].reduce((sum, t) => sum + t.slab.bytes, 0));
  });
}

function sum(tape: Tape, x: Variable, y: Variable): Variable {
  return tape.apply(addRule, [x, y], null)[0];
}
