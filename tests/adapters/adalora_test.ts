import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { singularBranch } from "../../lib/adapters/adalora.ts";
import { attach, type AttachOptions } from "../../lib/adapters/attach.ts";
import { importanceScores } from "../../lib/adapters/importance_scores.ts";
import { layerWeight } from "../../lib/adapters/layer_weight.ts";
import { lora2 } from "../../lib/adapters/lora2.ts";
import type { LayerTarget } from "../../lib/adapters/method.ts";
import { resolveOptions } from "../../lib/adapters/options.ts";
import { Orthogonality } from "../../lib/adapters/orthogonality.ts";
import { budgetAt, budgetPlan, largest } from "../../lib/adapters/rank_budget.ts";
import { affineRule } from "../../lib/autograd/rules.ts";
import { parameter, type Variable } from "../../lib/autograd/tape.ts";
import { linearModules } from "../../lib/io/weights.ts";
import { loadModel } from "../../lib/nn/model.ts";
import { score } from "../../lib/nn/score.ts";
import { adaloraMatrix, orthogonality, type SingularFactors } from "../../lib/reference/adalora.ts";
import { lora2Vectors } from "../../lib/reference/lora2.ts";
import { matmul } from "../../lib/reference/matmul.ts";
import { expectGradient, gradients, normals, type RuleCase } from "../autograd/rule_case.ts";
import { run } from "../cli/command_line.ts";
import { bound, EPS, expectClose } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import { inFolder } from "../helpers/folder.ts";
import { expectKept, ids, load, trainer } from "./llama_untied.ts";

const [RANK, TARGET, STEPS] = [5, 2, 6];
const OPTIONS: AttachOptions = {
  ...{ method: "adalora", rank: RANK, alpha: 8, targets: "all-linear" },
  ...{ targetRank: TARGET, initWarmup: 1, finalWarmup: 2, maskInterval: 2 },
};

const INNER = 3;
const FORMS: [AttachOptions, number][] = [
  [OPTIONS, 0],
  [OPTIONS, 0.3],
  [{ ...OPTIONS, method: "lora2", innerRank: INNER }, 0],
  [{ ...OPTIONS, method: "lora2", innerRank: INNER }, 0.3],
];

for (const [options, dropout] of FORMS) {
  const { method } = options;
  Deno.test(`${method} with dropout ${dropout} starts at the base, is merged to what it computes, saved and loaded`, async () => {
    using model = await load();
    const { gpu } = model;
    const base = await score(model, ids);
    using adapter = await attach(model, { ...options, dropout });
    assertEquals(await score(model, ids), base);
    const modules = [...adapter.layers.keys()];
    const shapes = modules.map((module) => model.weights.get(`${module}.weight`)!.shape);
    const counts = (of: (sides: number) => number) =>
      shapes.reduce((sum, [out, width]) => sum + of(out + width), 0);
    const scores = counts((sides) => RANK * ((method === "lora2" ? 2 * INNER : sides) + 1));
    const adalora = counts((sides) => RANK * (sides + 1));
    assertEquals(importanceScores(adapter), { own: scores, adalora });
    assertEquals(adapter.trainable, scores + (method === "lora2" ? counts((sides) => INNER * sides) : 0));

    using training = trainer(adapter, { steps: STEPS, clip: 1 });
    await Array.fromAsync(training.run());
    const trained = await score(model, ids);
    assert(trained.some((row, i) => row.some((nats, t) => Math.abs(nats - base[i][t]) > 1e-3)));
    let kept = 0;
    for (const [i, module] of modules.entries()) {
      const read = async (name: string) =>
        Float64Array.from(await gpu.read(adapter.parameters.get(`${module}.${name}`)!.value));
      const [out, width] = shapes[i];
      const dims = { out, in: width, r: RANK };
      const e = await read("e");
      const names = method === "lora2" ? ["bb", "aa", "b", "a"] : ["p", "q"];
      const parts = await Promise.all(names.map(async (name) => [name, await read(name)] as const));
      const factors = (change: (x: number) => number): SingularFactors => {
        const changed = Object.fromEntries(parts.map(([name, part]) => [name, part.map(change)]));
        const vectors = method === "lora2"
          ? lora2Vectors(changed as Parameters<typeof lora2Vectors>[0], { ...dims, k: INNER })
          : changed;
        return { ...vectors as Pick<SingularFactors, "p" | "q">, e: e.map(change) };
      };
      const mask = await gpu.read(adapter.course!.saved.get(`${module}.mask`)!);
      assertEquals([...e].map((e) => Number(e !== 0)), [...mask]);
      kept += mask.reduce((sum, x) => sum + x, 0);
      const w = model.weights.get(`${module}.weight`)!;
      const base = Float64Array.from(await gpu.read(w));
      const scaled = (dw: Float64Array, base: Float64Array) => dw.map((x, at) => base[at] + 8 / RANK * x);
      const value = scaled(adaloraMatrix(factors((x) => x), dims), base);
      const size = scaled(adaloraMatrix(factors(Math.abs), dims), base.map(Math.abs));
      using merged = layerWeight(gpu, adapter.layer(module)!, w);
      expectClose(await gpu.read(merged), value, bound(width, size, EPS), module);
    }
    assertEquals(kept, TARGET * modules.length);

    // PEFT's form, which adalora is saved in, has another scale, and E makes up for it.
    await expectKept(
      adapter,
      base,
      method === "adalora" ? { told: { orthogonality: 0.1 }, error: 1e-5 } : {},
    );
  });
}

Deno.test("adalora's updates are one submit each, its cuts two more, and it leaves no tensor alive", async () => {
  const gpu = await testDevice();
  const live = gpu.liveBytes;
  {
    using model = await load();
    using adapter = await attach(model, OPTIONS);
    using training = trainer(adapter, { steps: STEPS, clip: 1 });
    gpu.flush();
    const before = gpu.submits;
    const looks = (await Array.fromAsync(training.run())).length;
    const cuts = 2;
    assertEquals(gpu.submits - before, STEPS + 2 * cuts + looks);
  }
  assertEquals(gpu.liveBytes, live);
});

Deno.test("budgetAt() falls with the cube of the way that is left, from all to the target", () => {
  const plan = { initWarmup: 10, finalWarmup: 20, maskInterval: 1 };
  const at = (step: number) => budgetAt({ step, steps: 110 }, { full: 100, target: 20 }, plan);
  assertEquals([1, 10, 50, 90, 110].map(at), [100, 100, 30, 20, 20]);
  for (let step = 2; step <= 110; step++) assert(at(step) <= at(step - 1));
  assertEquals(budgetPlan({}, 100), { initWarmup: 10, finalWarmup: 30, maskInterval: 10 });
  assertEquals(budgetPlan({ ...plan }, 100), plan);
});

Deno.test("largest() keeps as many as asked for, also where scores are equal: the first of them", () => {
  assertEquals([...largest([3, 1, 2, 3, 2], 3)], [1, 0, 1, 1, 0]);
  assertEquals([...largest([1, 1, 1], 2)], [1, 1, 0]);
  assertEquals([[...largest([1, 2], 0)], [...largest([1, 2], 2)]], [[0, 0], [1, 1]]);
});

Deno.test("attach() and Trainer refuse budgets that make no sense", async () => {
  using model = await load();
  const refused: [AttachOptions, string][] = [
    [{ rank: 4, targetRank: 5 }, "targetRank 5: expected at most the rank, 4, from which it is cut"],
    [{ rank: 4, targetRank: 3, rankPattern: { q_proj: 2 } }, "expected at most the rank, 2"],
    [{ targetRank: 0 }, "targetRank 0: expected a whole number >= 1"],
    [{ initWarmup: -1 }, "initWarmup -1: expected a whole number >= 0"],
    [{ finalWarmup: 0.5 }, "finalWarmup 0.5: expected a whole number >= 0"],
    [{ maskInterval: 0 }, "maskInterval 0: expected a whole number >= 1"],
    [{ orthogonality: -1 }, "orthogonality -1: expected a number >= 0"],
  ];
  for (const [options, message] of refused) {
    await assertRejects(() => attach(model, { method: "adalora", ...options }), RangeError, message);
  }
  using adapter = await attach(model, OPTIONS);
  const message = "Cannot train 3 steps with initWarmup 1 and finalWarmup 2: expected more steps than both";
  assertThrows(() => trainer(adapter, { steps: 3, clip: 1 }), RangeError, message);
});

Deno.test("singularBranch() has the gradient of its twin, with x as it is and dropped", async () => {
  const gpu = await testDevice();
  const [n, width, out, r, scale] = [6, 5, 4, 3, 0.7];
  for (const dropped of [false, true]) {
    const rule: RuleCase = {
      name: `singularBranch, ${dropped ? "other input" : "one input"}`,
      shapes: [[n, width], [out, width], [out, r], [1, r], [r, width]],
      build(tape, [x, w, p, e, q]) {
        const half = () => tape.apply(affineRule, [x], { scale: 0.5, offset: 0 })[0];
        return singularBranch(tape, { x, w, dropped: dropped ? half() : x }, { p, e, q }, scale);
      },
      twin([x, w, p, e, q]) {
        const dw = adaloraMatrix({ p, e, q }, { out, in: width, r });
        const whole = w.map((value, at) => value + scale * (dropped ? 0.5 : 1) * dw[at]);
        return matmul(x, whole, { m: n, n: out, k: width }, "nt");
      },
    };
    expectGradient(rule, (await gradients(gpu, rule)).sinks);
  }
});

Deno.test("lora2's layer has the gradient of its twin", async () => {
  const gpu = await testDevice();
  const [n, out, r, k] = [6, 4, 3, 2];
  const dims = { out, in: 5, r, k };
  const config = { ...resolveOptions({ method: "lora2", rank: r, alpha: 2 }), innerRank: k };
  const target: LayerTarget = { module: "layer", out, in: dims.in, config };
  const rule: RuleCase = {
    name: "lora2",
    shapes: [[n, dims.in], [out, dims.in], [1, r], [out, k], [r, k], [r, k], [dims.in, k]],
    build(tape, [x, w, e, bb, aa, b, a]) {
      const tensors: Record<string, Variable> = { e, bb, aa, b, a };
      return lora2.layer!.apply(tape, { x, dropped: x, w }, (name) => tensors[name], target);
    },
    twin([x, w, e, bb, aa, b, a]) {
      const dw = adaloraMatrix({ ...lora2Vectors({ bb, aa, b, a }, dims), e }, dims);
      const whole = w.map((value, at) => value + 2 / r * dw[at]);
      return matmul(x, whole, { m: n, n: out, k: dims.in }, "nt");
    },
  };
  expectGradient(rule, (await gradients(gpu, rule)).sinks);
});

Deno.test("Orthogonality adds the gradient of its twin, and none where factors are orthonormal", async () => {
  const gpu = await testDevice();
  const [m, r, weight] = [7, 3, 0.4];
  const x = normals([m, r], 5);
  const transposed = Float32Array.from(x, (_, at) => x[at % m * r + Math.floor(at / m)]);
  const unit = Float32Array.from({ length: m * r }, (_, at) => Number(at % r === Math.floor(at / r)));
  const held = normals([m, r], 6);
  const values = [[x, [m, r]], [transposed, [r, m]], [unit, [m, r]]] as const;
  const variables = values.map(([value, shape]) =>
    parameter(gpu.upload(value, shape), gpu.upload(held, shape))
  );
  using term = new Orthogonality(
    gpu,
    variables,
    weight,
  );
  term.addGradient();
  const { gradient } = orthogonality(Float64Array.from(x), { m, r });
  const share = gradient.map((g) => weight / 3 * g);
  const size = share.map((g, i) => Math.abs(g) + Math.abs(held[i]) + weight);
  const turned = share.map((_, at) => share[at % m * r + Math.floor(at / m)]);
  const results = await Promise.all(variables.map(({ sink }) => gpu.read(sink!)));
  expectClose(results[0], share.map((g, i) => g + held[i]), bound(m * r, size, EPS), "columns");
  expectClose(results[1], turned.map((g, i) => g + held[i]), bound(m * r, size, EPS), "rows");
  assertEquals(results[2], held);
  for (const { value, sink } of variables) [value, sink!].forEach((tensor) => tensor.dispose());
});

Deno.test("olora train says how many scores it kept, and how many adalora would", () =>
  inFolder(async (folder) => {
    const words = [
      ...[
        "train",
        "--model",
        "tiny",
        "--data",
        "data/tiny/facts/train.jsonl",
        "--method",
        "lora2",
        "--rank",
        "2",
      ],
      ...["--inner-rank", "3", "--init-warmup", "0", "--final-warmup", "0", "--targets", "q_proj"],
      ...["--steps", "1", "--batch-size", "1"],
    ];
    const said = await run(...words, "--out", `${folder}/said`);
    const json = await run(...words, "--out", `${folder}/json`, "--json");
    assertEquals([said.code, json.code], [0, 0], said.stderr + json.stderr);
    using model = await loadModel("tiny", { gpu: await testDevice() });
    const layers = [...linearModules(model.config)].filter(([module]) => module.endsWith("q_proj"));
    const adalora = layers.reduce((sum, [, { out, in: width }]) => sum + 2 * (out + width + 1), 0);
    const own = layers.length * 2 * (2 * 3 + 1);
    assertEquals(JSON.parse(json.stdout).importanceScores, { own, adalora });
    assertMatch(
      said.stdout,
      new RegExp(`${own} importance scores; adalora's are ${adalora} for these layers`),
    );
  }));
