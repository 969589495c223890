import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { Adapter } from "../../lib/adapters/adapter.ts";
import { alora } from "../../lib/adapters/alora.ts";
import { attach, type AttachOptions } from "../../lib/adapters/attach.ts";
import { layerWeight } from "../../lib/adapters/layer_weight.ts";
import type { LayerTarget } from "../../lib/adapters/method.ts";
import { resolveOptions } from "../../lib/adapters/options.ts";
import { allocate, allocationPlan } from "../../lib/adapters/rank_allocation.ts";
import { constant, type Variable } from "../../lib/autograd/tape.ts";
import { Rng } from "../../lib/core/rng.ts";
import { score } from "../../lib/nn/score.ts";
import { adaloraMatrix } from "../../lib/reference/adalora.ts";
import { matmul } from "../../lib/reference/matmul.ts";
import { expectGradient, gradients, type RuleCase } from "../autograd/rule_case.ts";
import { bound, EPS, expectClose } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import { expectKept, ids, load, trainer } from "./llama_untied.ts";

const [RANK, SLOTS, STEPS] = [2, 3, 8];
const OPTIONS: AttachOptions = {
  ...{ method: "alora", rank: RANK, alpha: 4, targets: "all-linear", maxRank: SLOTS },
  ...{ moves: 4, initWarmup: 2, finalWarmup: 3, maskInterval: 3 },
};
const ALLOCATIONS = [2, 5];

/** The gates of each layer. */
async function gatesOf({ course, model: { gpu } }: Adapter): Promise<number[][]> {
  return await Promise.all([...course!.saved.values()].map(async (gates) => [...await gpu.read(gates)]));
}

const sum = (values: readonly number[]) => values.reduce((total, x) => total + x, 0);

for (const dropout of [0, 0.3]) {
  Deno.test(`alora with dropout ${dropout} starts at the base, is merged to what it computes, saved and loaded`, async () => {
    using model = await load();
    const { gpu } = model;
    const base = await score(model, ids);
    using adapter = await attach(model, { ...OPTIONS, dropout });
    assertEquals(await score(model, ids), base);
    const modules = [...adapter.layers.keys()];
    const shapes = modules.map((module) => model.weights.get(`${module}.weight`)!.shape);
    assertEquals(adapter.trainable, sum(shapes.map(([out, width]) => SLOTS * (out + width))));
    assertEquals(adapter.course!.scores, RANK * modules.length);
    using training = trainer(adapter, { steps: STEPS });
    await Array.fromAsync(training.run());
    const trained = await score(model, ids);
    assert(trained.some((row, i) => row.some((nats, t) => Math.abs(nats - base[i][t]) > 1e-3)));
    const gates = await gatesOf(adapter);
    for (const [i, module] of modules.entries()) {
      const read = async (name: string) =>
        Float64Array.from(await gpu.read(adapter.parameters.get(`${module}.${name}`)!.value));
      const [out, width] = shapes[i];
      const [a, b, e] = [await read("a"), await read("b"), Float64Array.from(gates[i])];
      const w = model.weights.get(`${module}.weight`)!;
      const base = Float64Array.from(await gpu.read(w));
      const whole = (change: (x: number) => number) => {
        const factors = { p: b.map(change), e, q: a.map(change) };
        const dw = adaloraMatrix(factors, { out, in: width, r: SLOTS });
        return base.map((x, at) => change(x) + 4 / RANK * dw[at]);
      };
      using merged = layerWeight(gpu, adapter.layer(module)!, w);
      expectClose(await gpu.read(merged), whole((x) => x), bound(width, whole(Math.abs), EPS), module);
    }
    await expectKept(adapter, base);
  });
}

Deno.test("alora has as many ranks at every step as at the start, moves them at its allocations alone, and leaves no tensor alive", async () => {
  const gpu = await testDevice();
  const live = gpu.liveBytes;
  {
    using model = await load();
    using adapter = await attach(model, OPTIONS);
    using training = trainer(adapter, { steps: STEPS });
    let before = await gatesOf(adapter);
    const budget = RANK * before.length;
    for (let step = 1; step <= STEPS; step++) {
      const passes = ALLOCATIONS.includes(step) ? 2 * budget : 0;
      gpu.flush();
      const submits = gpu.submits;
      await Array.fromAsync(training.run({ until: step }));
      // An update and a look; an allocation reads the gates and the losses, and cuts.
      assertEquals(gpu.submits - submits, 2 + passes + (passes && 3));
      const gates = await gatesOf(adapter);
      assertEquals(sum(gates.flat()), budget);
      const moved = gates.flatMap((layer, i) =>
        layer.filter((gate, slot) => gate !== before[i][slot])
      ).length;
      assertEquals(moved, passes && 2 * 4, `step ${step}`);
      for (const [i, layer] of gates.entries()) {
        const [lost, got] = [-1, 1].map((sign) =>
          layer.some((gate, slot) => gate - before[i][slot] === sign)
        );
        assert(!(lost && got), `layer ${i} lost and got ranks at step ${step}`);
      }
      before = gates;
    }
  }
  assertEquals(gpu.liveBytes, live);
});

Deno.test("alora's slots that are shut have B = 0 and no moments, so that opening one changes no bit; shutting one takes its product away", async () => {
  using model = await load();
  const { gpu } = model;
  using adapter = await attach(model, OPTIONS);
  using training = trainer(adapter, { steps: STEPS, weightDecay: 0.1 });
  await Array.fromAsync(training.run({ until: 6 }));
  const { parameters, course } = adapter;
  const { m, v } = training.optimizer;
  const modules = [...adapter.layers.keys()];
  const before = await score(model, ids);
  const gates = await gatesOf(adapter);
  assert(gates.some((layer) => layer.includes(0) && layer.includes(1) && layer[SLOTS - 1] === 1));
  for (const [i, module] of modules.entries()) {
    for (const [name, arenas] of [["a", [m, v]], ["b", [parameters.data, m, v]]] as const) {
      const { shape, offset } = parameters.get(`${module}.${name}`)!.value;
      for (const arena of arenas) {
        const values = await gpu.read(arena.view(shape, offset / 4));
        const slot = (at: number) => name === "a" ? Math.floor(at / shape[1]) : at % SLOTS;
        assert(values.every((x, at) => gates[i][slot(at)] || x === 0), `${module}.${name}`);
        assert(values.some((x) => x !== 0) || !gates[i].includes(1), `${module}.${name}`);
      }
    }
  }
  for (const tensor of course!.saved.values()) gpu.write(tensor, new Float32Array(SLOTS).fill(1));
  assertEquals(await score(model, ids), before);
  for (const tensor of course!.saved.values()) gpu.write(tensor, new Float32Array(SLOTS));
  assertEquals(await score(model, ids), await score(model, ids, { changes: null }));
});

Deno.test("allocate() keeps the number of open slots, never shuts and opens in one layer, and shuts the least important", () => {
  const rng = new Rng(3, "allocate");
  const whole = (limit: number) => Math.floor(rng.uniform() * limit);
  let moved = 0;
  for (let round = 0; round < 300; round++) {
    const layers = 1 + whole(6);
    const gates = Array.from(
      { length: layers },
      () => Array.from({ length: 1 + whole(5) }, () => rng.uniform() < 0.6),
    );
    const importance = gates.map((layer) => layer.map(() => whole(4)));
    const next = allocate(gates, importance, 1 + whole(8));
    const open = (all: boolean[][]) => all.flat().filter((on) => on).length;
    assertEquals(open(next), open(gates));
    const [shut, left]: number[][] = [[], []];
    gates.forEach((layer, i) => {
      const [lost, got] = [true, false].map((was) => layer.some((on, s) => on === was && next[i][s] !== was));
      assert(!(lost && got));
      layer.forEach((on, slot) => on && (next[i][slot] ? left : shut).push(importance[i][slot]));
    });
    moved += shut.length;
    assert(shut.length === 0 || left.length === 0 || Math.max(...shut) <= Math.min(...left));
  }
  assert(moved > 300, `${moved} moved`);
});

Deno.test("allocate() gives to the layers of the highest mean importance, in turns, and moves less where they are full", () => {
  const [on, off] = [true, false];
  const gates = [[on, on, off, off], [on, off, off, off], [on, on, off, off]];
  const importance = [[0.1, 0.2, 0, 0], [3, 0, 0, 0], [4, 1, 0, 0]];
  assertEquals(allocate(gates, importance, 1), [[off, on, off, off], [on, on, off, off], [on, on, off, off]]);
  assertEquals(allocate(gates, importance, 2), [[off, off, off, off], [on, on, off, off], [on, on, on, off]]);
  // The third would be the last layer's, and the one that is left then gets all.
  assertEquals(allocate(gates, importance, 3), [[off, off, off, off], [on, on, on, on], [on, off, off, off]]);
  assertEquals(allocate([[on, on], [on, on]], [[0, 1], [2, 3]], 1), [[on, on], [on, on]]);
  assertEquals(allocate([[on, on], [on, off]], [[0, 1], [2, 0]], 2), [[off, on], [on, on]]);
});

Deno.test("allocationPlan() allocates at most eight times between the warm-ups", () => {
  assertEquals(allocationPlan({}, 100), { initWarmup: 10, finalWarmup: 30, maskInterval: 9 });
  assertEquals(allocationPlan({ maskInterval: 4 }, 100).maskInterval, 4);
  for (let steps = 1; steps < 200; steps++) {
    const { initWarmup, finalWarmup, maskInterval } = allocationPlan({}, steps);
    assert(maskInterval >= 1 && Math.floor((steps - initWarmup - finalWarmup) / maskInterval) < 8);
  }
});

Deno.test("alora's layer has the gradient of its twin, none in slots that are shut", async () => {
  const gpu = await testDevice();
  const [n, out, width, rank, slots] = [6, 4, 5, 2, 3];
  const config = resolveOptions({ method: "alora", rank, alpha: 3, maxRank: slots });
  const target: LayerTarget = { module: "layer", out, in: width, config };
  const gates = Float32Array.of(1, 0, 1);
  for (const isDropped of [false, true]) {
    const rule: RuleCase = {
      name: `alora, ${isDropped ? "other input" : "one input"}`,
      shapes: [[n, width], [out, width], [out, slots], [slots, width], [n, width]],
      build(tape, [x, w, b, a, other]) {
        const tensors: Record<string, Variable> = { a, b, gates: constant(gpu.upload(gates, [1, slots])) };
        const dropped = isDropped ? other : x;
        return alora.layer!.apply(tape, { x, w, dropped }, (name) => tensors[name], target);
      },
      twin([x, w, b, a, other]) {
        const dw = adaloraMatrix({ p: b, e: Float64Array.from(gates), q: a }, { out, in: width, r: slots });
        const product = (x: Float64Array, w: Float64Array) => matmul(x, w, { m: n, n: out, k: width }, "nt");
        const added = product(isDropped ? other : x, dw);
        return product(x, w).map((value, at) => value + 3 / rank * added[at]);
      },
    };
    const { sinks } = await gradients(gpu, rule);
    expectGradient(rule, sinks);
    assert(sinks[2].every((value, at) => at % slots !== 1 || value === 0));
    assertEquals([...sinks[3].subarray(width, 2 * width)], new Array(width).fill(0));
  }
});

Deno.test("attach() and Trainer refuse allocations that make no sense", async () => {
  using model = await load();
  const refused: [AttachOptions, string][] = [
    [{ rank: 4, maxRank: 3 }, "maxRank 3: expected at least the rank, 4, that a layer starts with"],
    [{ rank: 2, maxRank: 3, rankPattern: { q_proj: 4 } }, "at least the rank, 4"],
    [{ maxRank: 999 }, "Cannot attach adapter with maxRank 999: expected maxRank <= min(out, in) ="],
    [{ maxRank: 0 }, "maxRank 0: expected a whole number >= 1"],
    [{ moves: 0 }, "moves 0: expected a whole number >= 1"],
  ];
  for (const [options, message] of refused) {
    await assertRejects(() => attach(model, { method: "alora", ...options }), RangeError, message);
  }
  using adapter = await attach(model, OPTIONS);
  const message = "Cannot train 5 steps with initWarmup 2 and finalWarmup 3: expected more steps than both";
  assertThrows(() => trainer(adapter, { steps: 5 }), RangeError, message);
});
