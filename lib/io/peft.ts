import type { HostTensor } from "../core/host_tensor.ts";
import { writeFileAtomic } from "./atomic.ts";
import { readJson } from "./json_file.ts";
import { parsePeftConfig, type PeftAdapter, peftConfigJson, unknownPeftFields } from "./peft_format.ts";
import { parseTensorName, peftTensors, sortTensors } from "./peft_tensors.ts";
import { openSafetensors, writeSafetensors } from "./safetensors.ts";

/**
 * Reads an adapter folder as PEFT writes it: `adapter_config.json` and `adapter_model.safetensors`.
 *
 * Source: the format of huggingface/peft, 0.21.
 *
 * @throws {Deno.errors.NotFound} If a file is missing.
 * @throws {SyntaxError} If a file is malformed.
 * @throws {RangeError} If the adapter is of a kind that is not supported, or factors and settings disagree.
 */
export async function readPeftAdapter(folder: string): Promise<PeftAdapter> {
  const name = `${folder}/adapter_config.json`;
  const json = await readJson(name);
  const config = parsePeftConfig(json, name);
  using file = await openSafetensors(`${folder}/adapter_model.safetensors`);
  const tensors = new Map<string, HostTensor>();
  for (const tensor of file.tensors.keys()) {
    parseTensorName(tensor, file.path);
    tensors.set(tensor, await file.read(tensor));
  }
  const sorted = sortTensors(config, tensors, file.path);
  const targetModules = config.targetModules.length ? config.targetModules : [...sorted.factors.keys()];
  const unknownFields = unknownPeftFields(json);
  return { config: { ...config, targetModules }, ...sorted, ...(unknownFields.length && { unknownFields }) };
}

/**
 * Writes an adapter folder that PEFT's `PeftModel.from_pretrained` reads. Each file is whole or not there, and
 * the configuration, which PEFT looks for first, comes last.
 *
 * @throws {RangeError} If a factor's shape does not fit its configured rank, or a path is no target.
 */
export async function writePeftAdapter(folder: string, adapter: PeftAdapter): Promise<void> {
  await writeSafetensors(`${folder}/adapter_model.safetensors`, peftTensors(adapter));
  const text = JSON.stringify(peftConfigJson(adapter.config), undefined, 2);
  await writeFileAtomic(`${folder}/adapter_config.json`, text + "\n");
}
