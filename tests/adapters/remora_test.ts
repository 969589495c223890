import { assert, assertEquals, assertThrows } from "@std/assert";
import { attach, type AttachOptions } from "../../lib/adapters/attach.ts";
import type { LayerTarget } from "../../lib/adapters/method.ts";
import { moraSide } from "../../lib/adapters/mora.ts";
import { resolveOptions } from "../../lib/adapters/options.ts";
import { remora } from "../../lib/adapters/remora.ts";
import { constant, type Variable } from "../../lib/autograd/tape.ts";
import { score } from "../../lib/nn/score.ts";
import { matmul } from "../../lib/reference/matmul.ts";
import { moraMatrix } from "../../lib/reference/mora.ts";
import { expectGradient, gradients, normals, type RuleCase } from "../autograd/rule_case.ts";
import { testDevice } from "../helpers/device.ts";
import { ids, load, trainer } from "./llama_untied.ts";

const OPTIONS: AttachOptions = { method: "remora", rank: 3, targets: "all-linear" };

// Groups of r̂ that divide no side, one side, and one side that is shorter than r̂.
for (const [out, width, rank] of [[11, 5, 1], [12, 9, 1], [20, 3, 3]]) {
  Deno.test(`remora's layer of ${out} × ${width} at rank ${rank} has the gradient of its twin, in either type, with x as it is and dropped`, async () => {
    const gpu = await testDevice();
    const config = resolveOptions({ method: "remora", rank });
    const target: LayerTarget = { module: "layer", out, in: width, config };
    const side = moraSide(target);
    const n = 4;
    const merged = [1, 2].map((type) => normals([side, side], 20 + type));
    for (const own of [1, 2] as const) {
      for (const isDropped of [false, true]) {
        const rule: RuleCase = {
          name: `remora, type ${own}, ${isDropped ? "other input" : "one input"}`,
          shapes: [[n, width], [out, width], [side, side], [n, width]],
          build(tape, [x, w, m, other]) {
            const tensors: Record<string, Variable> = { m };
            for (const type of [1, 2]) {
              tensors[`merged${type}`] = constant(gpu.upload(merged[type - 1], [side, side]));
              const turn = new Float32Array(side).fill(Number(type === own));
              tensors[`turn${type}`] = constant(gpu.upload(turn, [1, side]));
            }
            const dropped = isDropped ? other : x;
            return remora.layer!.apply(tape, { x, w, dropped }, (name) => tensors[name], target);
          },
          twin([x, w, m, other]) {
            const dims = { out, in: width, side };
            const product = (x: Float64Array, dw: Float64Array) =>
              matmul(x, dw, { m: n, n: out, k: width }, "nt");
            const still = [1, 2].map((type) =>
              moraMatrix(Float64Array.from(merged[type - 1]), dims, type as 1 | 2)
            );
            const whole = w.map((value, at) => value + still[0][at] + still[1][at]);
            const change = product(isDropped ? other : x, moraMatrix(m, dims, own));
            return product(x, whole).map((value, at) => value + change[at]);
          },
        };
        expectGradient(rule, (await gradients(gpu, rule)).sinks);
      }
    }
  });
}

Deno.test("a merge of remora changes no bit of the function, begins M and the optimiser anew, and takes the other type", async () => {
  using model = await load();
  const { gpu } = model;
  using adapter = await attach(model, { ...OPTIONS, mergeInterval: 2 });
  using training = trainer(adapter, { steps: 9 });
  await Array.fromAsync(training.run({ until: 5 }));
  const { course, parameters } = adapter;
  const turns = async () =>
    await Promise.all([1, 2].map(async (type) => [...await gpu.read(course!.state.get(`turn${type}`)!)]));
  const [before, turned] = [await score(model, ids), await turns()];
  const types = (await Promise.all([1, 2].map((type) => gpu.read(course!.state.get(`merged${type}`)!)))).map((
    values,
  ) => values.some((x) => x !== 0));
  assertEquals(types, [true, true]);
  assert((await gpu.read(parameters.data)).some((x) => x !== 0));
  gpu.scope(() => course!.afterUpdate!({ step: 6, steps: 9 }, training.optimizer));
  assertEquals(await score(model, ids), before);
  for (const tensor of [parameters.data, training.optimizer.m, training.optimizer.v]) {
    assert((await gpu.read(tensor)).every((x) => x === 0));
  }
  assertEquals(await turns(), turned.toReversed());
  assertEquals(training.optimizer.restartedAt, 5);
});

Deno.test("remora's rate rises again after each merge, and its updates are one submit each", async () => {
  const gpu = await testDevice();
  const live = gpu.liveBytes;
  {
    using model = await load();
    using adapter = await attach(model, { ...OPTIONS, mergeInterval: 4, restartWarmup: 2 });
    using training = trainer(adapter, { steps: 10, warmup: 2 });
    gpu.flush();
    const before = gpu.submits;
    const looks = await Array.fromAsync(training.run());
    assertEquals(gpu.submits - before, 10 + looks.length);
    const rates = looks.flat().map(({ learningRate }) => learningRate / 1e-2);
    assertEquals(rates, [0, 0.5, 1, 1, 0, 0.5, 1, 1, 0, 0.5]);
    assertEquals(training.optimizer.restartedAt, 8);
  }
  assertEquals(gpu.liveBytes, live);
});

Deno.test("Trainer refuses merges that cannot be", async () => {
  using model = await load();
  const refused: [AttachOptions, number, string][] = [
    [{ mergeInterval: 6 }, 6, "Cannot train 6 steps with mergeInterval 6: expected more steps"],
    [
      { mergeInterval: 2, restartWarmup: 2 },
      6,
      "restartWarmup 2: expected fewer updates than from one merge to the next, 2",
    ],
    [{ restartWarmup: 2 }, 10, "to the next, 2"],
  ];
  for (const [options, steps, message] of refused) {
    using adapter = await attach(model, { ...OPTIONS, ...options });
    assertThrows(() => trainer(adapter, { steps }), RangeError, message);
  }
});
