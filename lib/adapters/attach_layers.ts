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
  const made: [name: string, path: string, tensor: HostTensor][] = [];
  const owned = new Map<string, Tensor>();
  for (const target of targets) {
    for (const [name, tensor] of form.start(target)) made.push([name, `${target.module}.${name}`, tensor]);
    for (const [name, tensor] of form.constants?.(target) ?? []) {
      owned.set(`${target.module}.${name}`, gpu.keep(gpu.upload(toFloat32(tensor), tensor.shape)));
    }
  }
  // Tensors of one name lie side by side, so that what is done to all of them is one dispatch.
  const byName = [...Map.groupBy(made, ([name]) => name).values()].flat();
  const starts = new Map(byName.map(([, path, tensor]) => [path, tensor]));
  const parameters = new Parameters(gpu, new Map([...starts].map(([name, { shape }]) => [name, shape])));
  for (const [name, tensor] of starts) gpu.write(parameters.get(name)!.value, toFloat32(tensor));
  const course = form.course?.(parameters, targets);
  const layers = new Map(targets.map((target): [string, AdapterLayer] => {
    const tensors = (name: string) => {
      const path = `${target.module}.${name}`;
      return parameters.get(path) ?? constant(owned.get(path) ?? course!.saved.get(path)!);
    };
    return [target.module, { apply: (tape, inputs) => form.apply(tape, inputs, tensors, target) }];
  }));
  gpu.flush();
  const parts = { layers, ...(course && { course }) };
  return model.changes = new Adapter(model, config, parameters, new Map(), [...owned.values()], parts);
}
