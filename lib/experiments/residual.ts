import type { Adapter } from "../adapters/adapter.ts";
import { attach } from "../adapters/attach.ts";
import { residualModel } from "../adapters/convert.ts";
import { trainsMagnitude } from "../adapters/methods.ts";
import { hostTensor } from "../core/host_tensor.ts";
import type { PeftFactors } from "../io/peft_format.ts";
import type { Model } from "../nn/model.ts";

/**
 * The paper's own form of an OLoRA adapter that has just been attached: a model whose adapted weights are
 * W − s B₀ A₀, and a plain branch that starts at B₀, A₀. It computes the same function as `adapter`, and exists to be
 * compared with it; what it costs is a second copy of every adapted weight, the base being kept.
 *
 * Source: Büyükakyüz 2024, arXiv:2406.01775v2; the author's code in PEFT.
 *
 * @returns The model, whose weights the caller frees, with its adapter attached.
 */
export async function literalResidual(adapter: Adapter): Promise<{ model: Model; adapter: Adapter }> {
  const { config, branches, model: { gpu } } = adapter;
  const model = residualModel(adapter);
  const factors = new Map<string, PeftFactors>();
  for (const [module, { a, b }] of branches) {
    factors.set(module, {
      a: hostTensor(a.value.shape, await gpu.read(a.value)),
      b: hostTensor(b.value.shape, await gpu.read(b.value)),
    });
  }
  const { rank, alpha, dropout, seed } = config;
  const targets = [...branches.keys()];
  const method = trainsMagnitude(config) ? "dora" : "lora";
  return {
    model,
    adapter: await attach(model, { method, rank, alpha, targets, dropout, seed, init: factors }),
  };
}
