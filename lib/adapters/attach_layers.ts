import { Parameters } from "../autograd/parameters.ts";
import { constant } from "../autograd/tape.ts";
import { type HostTensor, toFloat32 } from "../core/host_tensor.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { Model } from "../nn/model.ts";
import { Adapter, type AdapterConfig, type AdapterLayer } from "./adapter.ts";
import type { LayerForm, LayerTarget } from "./method.ts";

/** An adapter whose layers are of the form of their method, on `model` in place of what is attached. */
export function attachLayers(
  model: Model,
  config: AdapterConfig,
  form: LayerForm,
  targets: readonly LayerTarget[],
): Adapter {
  const { gpu } = model;
  const starts = new Map<string, HostTensor>();
  const owned = new Map<string, Tensor>();
  for (const target of targets) {
    for (const [name, tensor] of form.start(target)) starts.set(`${target.module}.${name}`, tensor);
    for (const [name, tensor] of form.constants?.(target) ?? []) {
      owned.set(`${target.module}.${name}`, gpu.keep(gpu.upload(toFloat32(tensor), tensor.shape)));
    }
  }
  const parameters = new Parameters(gpu, new Map([...starts].map(([name, { shape }]) => [name, shape])));
  for (const [name, tensor] of starts) gpu.write(parameters.get(name)!.value, toFloat32(tensor));
  const layers = new Map(targets.map((target): [string, AdapterLayer] => {
    const tensors = (name: string) => {
      const path = `${target.module}.${name}`;
      return parameters.get(path) ?? constant(owned.get(path)!);
    };
    return [target.module, { apply: (tape, inputs) => form.apply(tape, inputs, tensors, target) }];
  }));
  gpu.flush();
  return model.changes = new Adapter(model, config, parameters, new Map(), [...owned.values()], layers);
}
