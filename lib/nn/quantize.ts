import { isBlockDType } from "../core/dtype.ts";
import { quantize, type QuantizedDType, quantizedDTypes } from "../core/quantize.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { linearModules } from "../io/weights.ts";
import { Model } from "./model.ts";

/** Options of `quantizeModel`. */
export interface QuantizeOptions {
  /** What is quantised in place of a layer's weight, f32 `[out, in]`, by the module's path; default W itself. */
  instead?: ReadonlyMap<string, Float32Array>;
  /** The copy's `source.name`; default the model's. */
  name?: string;
}

/**
 * A copy of `model` whose linear layers are quantised to blocks of `dtype`, which stay packed on the device and are widened
 * in the kernels that read them; embeddings, norms, biases and the head are copied as they are, as in QLoRA. What is
 * attached to `model` is left out.
 *
 * Each matrix is read back and quantised on the host, see {@linkcode QuantizedDType}.
 *
 * Source: Dettmers et al. 2023, arXiv:2305.14314v1, §3.
 *
 * @param dtype "nf4" (4.5 bits a weight), "int8" (8.5), "q8_0" (8.5) or "q4_0" (4.5).
 * @returns The model, which the caller frees; nothing is attached to it.
 * @throws {RangeError} If the format is none of these, rows are no whole blocks of it, or a weight holds NaN or infinity;
 * the message names the layer.
 * @throws {TypeError} If a weight is stored in blocks already.
 */
export async function quantizeModel(
  model: Model,
  dtype: QuantizedDType,
  { instead = new Map(), name }: QuantizeOptions = {},
): Promise<Model> {
  if (!quantizedDTypes.includes(dtype)) {
    throw new RangeError(`Cannot quantize to ${dtype}: expected one of ${quantizedDTypes.join(", ")}`);
  }
  const { gpu, config, tokenizer } = model;
  const source = { ...model.source, ...(name !== undefined && { name }) };
  const modules = linearModules(config);
  const weights = new Map<string, Tensor>();
  try {
    for (const [key, weight] of model.weights) {
      const module = key.replace(/\.weight$/, "");
      const linear = module !== key && modules.get(module);
      if (!linear) {
        const copy = gpu.keep(gpu.tensor(weight.shape, weight.dtype));
        gpu.copy(weight, copy);
        weights.set(key, copy);
        continue;
      }
      if (isBlockDType(weight.dtype)) {
        throw new TypeError(
          `Cannot quantize ${module}: got ${weight.dtype}, expected f32, f16 or bf16, as its numbers lie on a grid already`,
        );
      }
      const values = instead.get(module) ?? await gpu.read(weight);
      const host = quantize(module, [linear.out, linear.in], values, dtype);
      weights.set(key, gpu.keep(gpu.uploadHost(host)));
    }
    gpu.flush();
    return new Model(gpu, source, config, tokenizer, weights);
  } catch (error) {
    for (const weight of weights.values()) weight.dispose();
    throw error;
  }
}
