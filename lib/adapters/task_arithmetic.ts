import { linearModules } from "../io/weights.ts";
import type { Adapter } from "./adapter.ts";
import { attach } from "./attach.ts";

/**
 * A new adapter of method "full" with the weights W + Σ wᵢ (Wᵢ − W), attached in place of what is: Wᵢ − W is the
 * task vector of adapter i, zero for a weight that it does not train. Summed on the host in float64 and rounded
 * once to f32.
 *
 * Source: Ilharco et al. 2022, arXiv:2212.04089, §2.
 *
 * @param adapters Of method "full", on one model.
 * @param weights wᵢ, dimensionless, one for each adapter.
 */
export async function addTaskVectors(
  adapters: readonly Adapter[],
  weights: readonly number[],
): Promise<Adapter> {
  const [{ model }] = adapters;
  const { gpu } = model;
  const modules = adapters.flatMap(({ parameters }) => parameters.names).map((name) =>
    name.replace(/\.weight$/, "")
  );
  const layers = linearModules(model.config);
  // "full" trains layers that are named, or all that the model has.
  const targets = modules.every((module) => layers.has(module)) ? [...new Set(modules)] : undefined;
  const sum = await attach(model, { method: "full", ...(targets && { targets }) });
  for (const name of sum.parameters.names) {
    const { value } = sum.parameters.get(name)!;
    const base = await gpu.read(value);
    const total = Float64Array.from(base);
    for (const [i, { parameters }] of adapters.entries()) {
      const trained = parameters.get(name);
      if (!trained) continue;
      (await gpu.read(trained.value)).forEach((x, at) => total[at] += weights[i] * (x - base[at]));
    }
    gpu.write(value, Float32Array.from(total));
  }
  return sum;
}
