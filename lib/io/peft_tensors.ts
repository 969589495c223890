import type { HostTensor } from "../core/host_tensor.ts";
import { FAMILIES } from "./families.ts";
import {
  moduleRank,
  type PeftAdapter,
  type PeftConfig,
  type PeftFactors,
  type PeftRows,
} from "./peft_format.ts";
import { isSelected, type PeftTargets } from "./peft_targets.ts";
import { hasPickleIn, noPickle, PICKLE } from "./pickle.ts";
import { openSafetensors, type SafetensorsFile } from "./safetensors.ts";
import { asStored, withRowsOut } from "./stored_form.ts";

/**
 * Opens the adapter_model.safetensors in `folder`.
 *
 * @throws {Deno.errors.NotFound} If there is none; of an adapter_model.bin the message says what to do.
 * @throws {SyntaxError} If it is malformed.
 */
export async function openPeftTensors(folder: string): Promise<SafetensorsFile> {
  try {
    return await openSafetensors(`${folder}/adapter_model.safetensors`);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound && await hasPickleIn(folder))) throw cause;
    const python = `AutoPeftModelForCausalLM.from_pretrained("${folder}").save_pretrained("folder")`;
    throw new Deno.errors.NotFound(
      `Cannot read the adapter ${folder}: found ${PICKLE}, expected ${noPickle(python)}`,
      { cause },
    );
  }
}

/** How the names of an adapted module's tensors end in an adapter_model.safetensors. */
const FACTORS: Readonly<Record<string, keyof PeftFactors>> = {
  "lora_A.weight": "a",
  "lora_B.weight": "b",
  "lora_magnitude_vector": "magnitude",
  "lora_B.bias": "bias",
};

const ROWS = "token_adapter.trainable_tokens_delta";

/**
 * The tensors of an adapter_model.safetensors by the names that PEFT gives them.
 *
 * @throws {RangeError} If a factor's shape does not fit its configured rank, or a path is no target.
 */
export function peftTensors(adapter: PeftAdapter): Map<string, HostTensor> {
  const { config, factors, weights = new Map<string, HostTensor>() } = adapter;
  const tensors = new Map<string, HostTensor>();
  const add = (path: string, tensor: HostTensor) => tensors.set(`base_model.model.${path}`, tensor);
  for (const [path, found] of factors) {
    checkSelected(config, path, "the adapter");
    checkShapes(config, path, found, "the adapter");
    for (const [suffix, factor] of Object.entries(FACTORS)) {
      if (found[factor]) add(`${path}.${suffix}`, found[factor]);
    }
  }
  for (const [name, weight] of weights) {
    const [, path, kind] = /^(.+)\.(weight|bias)$/.exec(name)!;
    if ("ids" in weight) add(`${path}.${ROWS}`, weight.rows);
    else add(factors.has(path) ? `${path}.base_layer.${kind}` : name, asStored(name, weight));
  }
  return tensors;
}

/** What a tensor's name in an adapter_model.safetensors stands for. */
interface TensorName {
  /** Path of the module. */
  readonly path: string;
  /** How the name goes on. */
  readonly suffix: string;
}

/**
 * The module path of a tensor in an adapter_model.safetensors, and what it is there.
 *
 * @throws {RangeError} If it is nothing that an adapter of linear layers has.
 */
export function parseTensorName(tensor: string, name: string): TensorName {
  const suffixes = [...Object.keys(FACTORS), ROWS, "base_layer.weight", "base_layer.bias", "weight", "bias"];
  const suffix = suffixes.find((suffix) => tensor.endsWith(`.${suffix}`));
  const path = /^base_model\.model\.(.+)$/.exec(tensor.slice(0, -1 - (suffix ?? "").length))?.[1];
  if (suffix && path && !/\blora_/.test(path)) return { path, suffix };
  throw new RangeError(
    `Cannot use ${name}: found tensor ${tensor}, expected base_model.model.<module>.<${
      suffixes.join(" | ")
    }>`,
  );
}

/**
 * Refuses low-rank factors of an embedding or of the head, by the setting that asks for them.
 *
 * @param tensors Names of the tensors in an adapter_model.safetensors.
 * @param name The configuration's file, for the error.
 * @throws {RangeError} If there are some.
 */
export function refuseEmbeddings(
  { targetModules }: PeftConfig,
  tensors: Iterable<string>,
  name: string,
): void {
  for (const tensor of tensors) {
    const [, path, isEmbedding] =
      /^base_model\.model\.(.+)\.lora_(embedding_)?[AB](?:\.weight)?$/.exec(tensor) ?? [];
    if (!path || !(isEmbedding || ENDS.has(path))) continue;
    throw new RangeError(
      `Cannot use ${name}: found target_modules ${
        JSON.stringify(targetModules)
      } with factors of ${path}, expected none of ` +
        `embeddings and head, but linear layers inside the decoder`,
    );
  }
}

/** Where a decoder begins and ends. */
const ENDS: ReadonlySet<string | undefined> = new Set([
  "lm_head",
  ...Object.values(FAMILIES).flatMap(({ names: { embedding, positions } }) => [embedding, positions]),
]);

/**
 * The factors in their pairs and the weights beside them, checked against the configuration.
 *
 * @param tensors The file's tensors by name.
 * @param name The file's name, for errors.
 * @throws {RangeError} If a tensor is unknown, half of a pair, or of a shape that does not fit its rank.
 */
export function sortTensors(
  config: PeftConfig,
  tensors: ReadonlyMap<string, HostTensor>,
  name: string,
): Pick<PeftAdapter, "factors" | "weights"> {
  const pairs = new Map<string, Partial<PeftFactors>>();
  const weights = new Map<string, HostTensor | PeftRows>();
  for (const [tensor, value] of [...tensors].sort(([p], [q]) => p < q ? -1 : 1)) {
    const { path, suffix } = parseTensorName(tensor, name);
    const weight = `${path}.${suffix.replace("base_layer.", "")}`;
    if (suffix in FACTORS) pairs.set(path, { ...pairs.get(path), [FACTORS[suffix]]: value });
    else if (suffix === ROWS) weights.set(`${path}.weight`, rowsOf(config, path, value, name));
    else weights.set(weight, withRowsOut(weight, value));
  }
  const factors = new Map<string, PeftFactors>();
  for (const [path, { a, b, ...beside }] of pairs) {
    if (!a || !b) {
      throw new RangeError(
        `Cannot use ${name}: module ${path} lacks lora_${a ? "B" : "A"}, expected both factors`,
      );
    }
    if (config.targetModules.length) checkSelected(config, path, name);
    checkShapes(config, path, { a, b, ...beside }, name);
    factors.set(path, { a, b, ...beside });
  }
  if (factors.size === 0) throw new RangeError(`Cannot use ${name}: found no factors`);
  return { factors, ...(weights.size && { weights }) };
}

/** The rows of the matrix at `path` that are trained by themselves, with the tokens that they are of. */
function rowsOf({ tokens = [] }: PeftConfig, path: string, rows: HostTensor, name: string): PeftRows {
  const ids = tokens instanceof Array
    ? tokens
    : Object.entries(tokens).find(([key]) => path === key || path.endsWith(`.${key}`))?.[1] ?? [];
  if (rows.shape.length === 2 && rows.shape[0] === ids.length) return { ids, rows };
  throw new RangeError(
    `Cannot use ${name}: found ${ROWS} [${
      rows.shape.join(", ")
    }] of ${path}, expected [${ids.length}, d], a row for ` +
      `each of trainable_token_indices`,
  );
}

/**
 * Checks that the settings select the module at `path`, as PEFT does.
 *
 * @throws {RangeError} If not; the message says of `name` what was found.
 */
export function checkSelected(config: PeftTargets, path: string, name: string): void {
  if (isSelected(config, path)) return;
  const { targetModules, excludeModules, layers } = config;
  throw new RangeError(
    `Cannot use ${name}: module ${path} is none of its target modules ${JSON.stringify(targetModules)}${
      excludeModules ? ` without ${JSON.stringify(excludeModules)}` : ""
    }${layers ? ` in layers ${JSON.stringify(layers)}` : ""}`,
  );
}

function checkShapes(config: PeftConfig, path: string, factors: PeftFactors, name: string): void {
  const { a, b, magnitude, bias } = factors;
  const [out] = b.shape;
  const vectors = [
    ["lora_magnitude_vector", magnitude, "use_dora", config.dora],
    ["lora_B.bias", bias, "lora_bias", config.loraBias ?? false],
  ] as const;
  for (const [suffix, found, field, wanted] of vectors) {
    if (wanted ? found?.shape.join() === `${out}` : !found) continue;
    throw new RangeError(
      `Cannot use ${name}: module ${path} has ${
        found ? `${suffix} [${found.shape.join(", ")}]` : `no ${suffix}`
      }, expected ${wanted ? `one of [${out}]` : "none"}, as ${field} is ${wanted}`,
    );
  }
  const rank = moduleRank(config, path);
  for (const [factor, { shape }, axis] of [["A", a, 0], ["B", b, 1]] as const) {
    if (shape.length === 2 && shape[axis] === rank) continue;
    throw new RangeError(
      `Cannot use ${name}: module ${path} has lora_${factor} [${shape.join(", ")}], expected ${
        factor === "A" ? `[${rank}, in]` : `[out, ${rank}]`
      } for its rank`,
    );
  }
}
