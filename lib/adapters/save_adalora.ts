import { hostTensor, toFloat32 } from "../core/host_tensor.ts";
import { adaloraScale, type PeftAdalora, type PeftTriplets, writePeftAdalora } from "../io/peft_adalora.ts";
import { targetNames } from "../io/peft_targets.ts";
import { linearModules } from "../io/weights.ts";
import type { Model } from "../nn/model.ts";
import type { Adapter } from "./adapter.ts";
import { settingsOf } from "./attach.ts";
import { attachFilled, requireFit } from "./fit.ts";
import { budgetPlan, orthogonalityOf, type RankBudget, targetRank } from "./rank_budget.ts";

/**
 * Writes an adapter of `adalora` in PEFT's form of AdaLoRA: B, E and A are P, e and Q without the triplets that the last
 * cut left out, which are in `rank_pattern`. E is multiplied by the scale here over PEFT's, α / r over α / (R + 1e-5) for R
 * the largest rank of a layer, so that the function is the same.
 *
 * `total_step`, which PEFT wants, is that of the last training; of an adapter that was not trained since it was attached
 * the fewest that its warm-ups leave, the default ones being none.
 */
export async function saveAdalora(adapter: Adapter, folder: string): Promise<void> {
  const { model: { gpu, config: base, source }, config, parameters } = adapter;
  const course = adapter.course as RankBudget;
  const settings = new Map(
    [...adapter.layers.keys()].map((module) => [module, settingsOf(config, module)]),
  );
  const rank = Math.max(...[...settings.values()].map(({ rank }) => rank));
  // PEFT takes another number for an α that is not positive.
  const alpha = config.alpha > 0 ? config.alpha : rank;
  const modules = new Map<string, PeftTriplets>();
  for (const [module, own] of settings) {
    const read = (name: string) => gpu.read(parameters.get(`${module}.${name}`)!.value);
    const [e, p, q] = [await read("e"), await read("p"), await read("q")];
    const mask = await gpu.read(course.saved.get(`${module}.mask`)!);
    const kept = Array.from({ length: rank }, (_, i) => i < own.rank && (mask[i] !== 0 || e[i] !== 0));
    const left = kept.flatMap((isLeft, i) => isLeft ? [i] : []);
    const [out, width, k] = [p.length / own.rank, q.length / own.rank, left.length];
    const factor = own.alpha / own.rank / adaloraScale({ alpha, rank });
    modules.set(module, {
      a: hostTensor([k, width], left.flatMap((i) => [...q.subarray(i * width, (i + 1) * width)])),
      b: hostTensor(
        [out, k],
        Array.from({ length: out }, (_, j) => left.map((i) => p[j * own.rank + i])).flat(),
      ),
      e: hostTensor([k, 1], left.map((i) => factor * e[i])),
      kept,
    });
  }
  const plan = budgetPlan(config, course.steps);
  await writePeftAdalora(folder, {
    config: {
      ...{ rank, alpha, targetRank: targetRank(config), dropout: config.dropout, ...plan },
      steps: Math.max(course.steps, plan.initWarmup + plan.finalWarmup + 1),
      orthogonality: orthogonalityOf(config),
      targetModules: targetNames(modules.keys(), linearModules(base).keys()),
      baseModel: source.name,
    },
    modules,
  });
}

/**
 * Attaches an AdaLoRA adapter of PEFT's with the function it had, all R triplets of each layer in place: those that were cut
 * are zero, and stay so.
 *
 * @param folder Where it was read from, for errors.
 * @throws {RangeError} If it does not fit the model.
 */
export async function loadAdalora(
  model: Model,
  folder: string,
  { config, modules }: PeftAdalora,
): Promise<Adapter> {
  const { rank, alpha, dropout, targetRank, initWarmup, finalWarmup, maskInterval, orthogonality } = config;
  const { gpu } = model;
  requireFit(model, folder, modules);
  return await attachFilled(model, {
    ...{ method: "adalora", rank, alpha, dropout, targets: [...modules.keys()] },
    ...{ targetRank, initWarmup, finalWarmup, maskInterval, orthogonality },
  }, (adapter) => {
    for (const [module, { a, b, e, kept }] of modules) {
      const left = kept.flatMap((isLeft, i) => isLeft ? [i] : []);
      const [out, width, k] = [b.shape[0], a.shape[1], left.length];
      const [ofA, ofB, ofE] = [a, b, e].map(toFloat32);
      const factor = adaloraScale(config) / (alpha / rank);
      const values = {
        e: new Float32Array(rank),
        p: new Float32Array(out * rank),
        q: new Float32Array(rank * width),
      };
      left.forEach((to, i) => {
        values.e[to] = factor * ofE[i];
        values.q.set(ofA.subarray(i * width, (i + 1) * width), to * width);
        for (let j = 0; j < out; j++) values.p[j * rank + to] = ofB[j * k + i];
      });
      for (const [name, value] of Object.entries(values)) {
        gpu.write(adapter.parameters.get(`${module}.${name}`)!.value, value);
      }
      gpu.write(adapter.course!.saved.get(`${module}.mask`)!, Float32Array.from(kept, Number));
    }
  });
}
