import { hostTensor, toFloat32 } from "../core/host_tensor.ts";
import { FAMILIES } from "../io/families.ts";
import { type PeftIa3, type PeftScales, writePeftIa3 } from "../io/peft_ia3.ts";
import { targetNames } from "../io/peft_targets.ts";
import { linearModules } from "../io/weights.ts";
import type { Model } from "../nn/model.ts";
import type { Adapter } from "./adapter.ts";
import type { AttachOptions } from "./attach.ts";
import { attachFilled } from "./fit.ts";
import { frozenFactor } from "./flora.ts";

/**
 * Whether PEFT's IA³ computes what `adapter` does: a flora of which one factor is trained, whose scaled outputs have no
 * bias, as PEFT scales the bias with them.
 */
export function isIa3({ config, model, layers }: Adapter): boolean {
  return config.method === "flora" && config.freeze !== undefined &&
    [...layers.keys()].every((module) => frozenFactor(config, module) === "A" || !hasBias(model, module));
}

/** Writes an adapter that `isIa3` in PEFT's form of IA³: inputs are scaled by B, outputs by A. */
export async function saveIa3(adapter: Adapter, folder: string): Promise<void> {
  const { model: { gpu, config: base, source }, config, parameters, layers } = adapter;
  const modules = new Map<string, PeftScales>();
  for (const module of layers.keys()) {
    const isInput = frozenFactor(config, module) === "A";
    const values = await gpu.read(parameters.get(`${module}.${isInput ? "b" : "a"}`)!.value);
    modules.set(
      module,
      isInput
        ? { side: "input", scales: hostTensor([1, values.length], values) }
        : { side: "output", scales: hostTensor([values.length, 1], values) },
    );
  }
  const all = [...linearModules(base).keys()];
  const named = (side: PeftScales["side"]) => targetNames(onSide({ modules }, side), all);
  // PEFT wants every name of the second list in the first.
  const feedforwardModules = named("input");
  await writePeftIa3(folder, {
    config: {
      targetModules: [...named("output"), ...feedforwardModules],
      feedforwardModules,
      baseModel: source.name,
    },
    modules,
  });
}

/**
 * Attaches an IA³ adapter of PEFT's, with the function it had, as flora of rank 1.
 *
 * @throws {RangeError} If it does not fit the model, or scales the outputs of a layer with a bias: PEFT scales the bias too.
 */
export async function loadIa3(model: Model, ia3: PeftIa3): Promise<Adapter> {
  const { modules } = ia3;
  const [inputs, outputs] = [onSide(ia3, "input"), onSide(ia3, "output")];
  const biased = outputs.find((module) => hasBias(model, module));
  if (biased !== undefined) {
    throw new RangeError(
      `Cannot attach IA³ to ${biased}: found a bias, which PEFT scales with the outputs and flora does not, ` +
        `expected a layer without one, or one whose inputs are scaled (feedforward_modules)`,
    );
  }
  const options: AttachOptions = {
    ...{ method: "flora", rank: 1, targets: [...modules.keys()], freeze: outputs.length ? "B" : "A" },
    ...(inputs.length && outputs.length && { feedforward: inputs }),
  };
  return await attachFilled(model, options, ({ parameters }) => {
    for (const [module, { side, scales }] of modules) {
      const { value } = parameters.get(`${module}.${side === "input" ? "b" : "a"}`)!;
      const values = toFloat32(scales);
      if (values.length !== value.size) {
        throw new RangeError(
          `Cannot attach IA³ to ${module}: found ${values.length} numbers for its ${side}s, expected ${value.size}`,
        );
      }
      model.gpu.write(value, values);
    }
  });
}

function onSide({ modules }: Pick<PeftIa3, "modules">, wanted: PeftScales["side"]): string[] {
  return [...modules].flatMap(([module, { side }]) => side === wanted ? [module] : []);
}

function hasBias({ config: { family } }: Model, module: string): boolean {
  return FAMILIES[family].biases.includes(module.slice(module.lastIndexOf(".") + 1));
}
