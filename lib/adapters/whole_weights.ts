import { type HostTensor, hostTensor, toFloat32 } from "../core/host_tensor.ts";
import type { PeftAdapter, PeftConfig } from "../io/peft_format.ts";
import { embeddingName, expectedTensors, HEAD, headName } from "../io/weights.ts";
import type { Model } from "../nn/model.ts";
import { effectiveWeight } from "../ops/effective_weight.ts";

/**
 * The weights that an adapter trains whole, f32, by name: as they are given, and rows of tokens put in place of the base's.
 * Where embeddings are tied, rows are those of the head too, and a whole embedding is not: there the head stays what it is
 * in the base, unless it is given, as in huggingface/peft 0.21. Rows become a whole matrix, which is trained as one.
 *
 * @throws {RangeError} If the model has no weight of a name, or none of that shape, or a row's id is none of its tokens.
 */
export async function wholeWeights(
  model: Model,
  weights: NonNullable<PeftAdapter["weights"]>,
): Promise<Map<string, HostTensor>> {
  const { gpu, config } = model;
  const shapes = expectedTensors({ ...config, tiedEmbeddings: false });
  const whole = new Map<string, HostTensor>();
  const fail = (name: string, found: string, expected: string): never => {
    throw new RangeError(`Cannot attach weight ${name}: found ${found}, expected ${expected}`);
  };
  for (const [name, weight] of weights) {
    const shape = shapes.get(name) ?? fail(name, "no such weight in the model", "a name that it has");
    if (!("ids" in weight)) {
      if (weight.shape.join() !== shape.join()) fail(name, `[${weight.shape}]`, `[${shape}]`);
      whole.set(name, hostTensor(shape, toFloat32(weight)));
      continue;
    }
    const [rows, width] = shape;
    const { ids, rows: { shape: [, found] } } = weight;
    if (shape.length !== 2 || found !== width) fail(name, `rows of ${found}`, `a matrix [${shape}]`);
    const outside = ids.find((id) => id >= rows);
    if (outside !== undefined) fail(name, `row ${outside}`, `rows below ${rows}`);
    using dense = effectiveWeight(gpu, model.weights.get(name === HEAD ? headName(config) : name)!);
    const values = await gpu.read(dense);
    const given = toFloat32(weight.rows);
    ids.forEach((id, i) => values.set(given.subarray(i * width, (i + 1) * width), id * width));
    whole.set(name, hostTensor(shape, values));
    if (config.tiedEmbeddings && name === embeddingName(config) && !weights.has(HEAD)) {
      whole.set(HEAD, whole.get(name)!);
    }
  }
  return whole;
}

/**
 * What PEFT's configuration says of an adapter that trains `weights` whole beside low-rank factors of `modules`: their own
 * biases or others too are its `bias`, anything else modules by their paths.
 */
export function wholeWeightSettings(
  weights: Iterable<string>,
  modules: ReadonlySet<string>,
): Pick<PeftConfig, "bias" | "modulesToSave"> {
  const parts = [...weights].map((name) => {
    const end = name.lastIndexOf(".");
    return { module: name.slice(0, end), isBias: name.slice(end) === ".bias" };
  });
  const saved = new Set(
    parts.filter(({ isBias }) => !isBias).map(({ module }) => module).filter((module) =>
      !modules.has(module)
    ),
  );
  const biases = parts.filter(({ module, isBias }) => isBias && !saved.has(module));
  return {
    ...(biases.length && { bias: biases.every(({ module }) => modules.has(module)) ? "lora_only" : "all" }),
    ...(saved.size && { modulesToSave: [...saved] }),
  };
}
