import type { HostTensor } from "../core/host_tensor.ts";
import { replaceAdapter, requireOneForm } from "./adapter_folder.ts";
import { writeFileAtomic } from "./atomic.ts";
import { type JsonObject, readJsonIfAny } from "./json_file.ts";
import { isRegExp, parsePeftConfig, peftConfigJson } from "./peft_format.ts";
import type { PeftTargets } from "./peft_targets.ts";
import { checkSelected, openPeftTensors } from "./peft_tensors.ts";
import { writeSafetensors } from "./safetensors.ts";

/** The settings of an IA³ adapter (Liu et al. 2022, arXiv:2205.05638) in PEFT's format. */
export interface PeftIa3Config extends PeftTargets {
  /**
   * `feedforward_modules`: the targets whose inputs are scaled, the others' outputs being so; names that end paths (of a
   * module or not, as PEFT compares letters), or a regular expression for whole paths. Absent where the file has none.
   */
  readonly feedforwardModules?: readonly string[] | string;
  /** The base model's name or path, if known. */
  readonly baseModel: string | undefined;
}

/** What one module is scaled by: y = l ∘ (W x + c) of its outputs, or y = W (l ∘ x) + c of its inputs. */
export interface PeftScales {
  /** Which side is scaled. */
  readonly side: "input" | "output";
  /** l: `[1, in]` of inputs, `[out, 1]` of outputs. */
  readonly scales: HostTensor;
}

/** An IA³ adapter as PEFT stores it. */
export interface PeftIa3 {
  /** The settings. */
  readonly config: PeftIa3Config;
  /** What scales, by module path. */
  readonly modules: ReadonlyMap<string, PeftScales>;
}

/**
 * Reads a folder that PEFT wrote for `IA3Config`; undefined where it holds no adapter of that kind.
 *
 * Source: `IA3Model` and `IA3Layer` of huggingface/peft, 0.21.
 *
 * @throws {SyntaxError} If a file is malformed.
 * @throws {RangeError} If a setting is not supported or makes no sense, or tensors and settings disagree.
 */
export async function readPeftIa3(folder: string): Promise<PeftIa3 | undefined> {
  await requireOneForm(folder);
  const name = `${folder}/adapter_config.json`;
  const json = await readJsonIfAny(name);
  if (json?.peft_type !== "IA3") return undefined;
  const config = parseConfig(json, name);
  using file = await openPeftTensors(folder);
  const modules = new Map<string, PeftScales>();
  for (const tensor of [...file.tensors.keys()].sort()) {
    const [, path] = /^base_model\.model\.(.+)\.ia3_l$/.exec(tensor) ?? [];
    if (!path) {
      throw new RangeError(
        `Cannot use ${file.path}: found tensor ${tensor}, expected base_model.model.<module>.ia3_l`,
      );
    }
    if (config.targetModules.length) checkSelected(config, path, file.path);
    modules.set(path, scalesOf(path, await file.read(tensor), config, file.path));
  }
  if (!modules.size) throw new RangeError(`Cannot use ${file.path}: found no tensor ia3_l`);
  return { config, modules };
}

/**
 * Writes a folder that PEFT's `PeftModel.from_pretrained` reads as IA³, in place of any adapter that is there
 * ({@linkcode replaceAdapter}).
 *
 * @throws {RangeError} If a shape does not fit the side that is scaled, or the settings say the other side.
 */
export async function writePeftIa3(folder: string, { config, modules }: PeftIa3): Promise<void> {
  const tensors = new Map<string, HostTensor>();
  for (const [path, { side, scales }] of modules) {
    const found = scalesOf(path, scales, config, "the adapter");
    if (found.side !== side) throw disagree(path, scales, `${side}s`, "the adapter");
    tensors.set(`base_model.model.${path}.ia3_l`, scales);
  }
  const { feedforwardModules = [], ...shared } = config;
  const lora = peftConfigJson({
    ...{ rank: 1, alpha: 1, dropout: 0, rankPattern: {}, alphaPattern: {} },
    ...{ rsLora: false, dora: false, init: true },
    ...shared,
  });
  const own = {
    feedforward_modules: feedforwardModules,
    init_ia3_weights: true,
    peft_type: "IA3",
  };
  const json = {
    ...Object.fromEntries(Object.entries(lora).filter(([field]) => SHARED.includes(field))),
    ...own,
  };
  await replaceAdapter(folder, async (aside) => {
    await writeSafetensors(`${aside}/adapter_model.safetensors`, tensors);
    await writeFileAtomic(`${aside}/adapter_config.json`, JSON.stringify(json, undefined, 2) + "\n");
  });
}

/** Fields that PEFT's IA3Config has in common with its LoraConfig. */
const SHARED = (
  "base_model_name_or_path exclude_modules fan_in_fan_out inference_mode modules_to_save revision target_modules task_type"
).split(" ");

function parseConfig(json: JsonObject, name: string): PeftIa3Config {
  const fail = (field: string, expected: string): never => {
    throw new RangeError(
      `Cannot use ${name}: found ${field} ${
        JSON.stringify(json[field])
      }, expected ${expected}, as peft_type is IA3`,
    );
  };
  const { modules_to_save: whole, feedforward_modules: found = null } = json;
  if (Array.isArray(whole) ? whole.length : whole) fail("modules_to_save", "it unset (not supported)");
  const isList = Array.isArray(found) && found.every((entry) => typeof entry === "string");
  if (found !== null && !isList && !(typeof found === "string" && isRegExp(found))) {
    fail("feedforward_modules", "a list of names or a regular expression");
  }
  const shared = Object.fromEntries(Object.entries(json).filter(([field]) => SHARED.includes(field)));
  const { targetModules, excludeModules, baseModel } = parsePeftConfig(
    { ...shared, peft_type: "LORA", r: 1 },
    name,
  );
  return {
    ...{ targetModules, baseModel },
    ...(excludeModules && { excludeModules }),
    ...(found !== null && { feedforwardModules: found as string | string[] }),
  };
}

/** Whether PEFT scales the inputs of the module at `path`: a name in a list is compared letter by letter from the end. */
function isFeedforward(modules: readonly string[] | string, path: string): boolean {
  if (typeof modules === "string") return new RegExp(`^(?:${modules})$`).test(path);
  return modules.some((name) => path.endsWith(name));
}

/** The scales of one module, of a shape that fits the side that the settings say. */
function scalesOf(
  path: string,
  scales: HostTensor,
  { feedforwardModules }: PeftIa3Config,
  name: string,
): PeftScales {
  const [rows, columns] = scales.shape;
  if (scales.shape.length !== 2 || (rows !== 1 && columns !== 1)) {
    throw disagree(path, scales, "one side", name);
  }
  const said = feedforwardModules !== undefined && isFeedforward(feedforwardModules, path);
  const side = rows === 1 && (columns !== 1 || said) ? "input" : "output";
  if (feedforwardModules !== undefined && said !== (side === "input")) {
    throw disagree(path, scales, `${said ? "inputs" : "outputs"} by feedforward_modules`, name);
  }
  return { side, scales };
}

function disagree(path: string, { shape }: HostTensor, which: string, name: string): RangeError {
  return new RangeError(
    `Cannot use ${name}: module ${path} has ia3_l [${
      shape.join(", ")
    }], expected that of its ${which}: [1, in] of inputs, [out, 1] of outputs`,
  );
}
