import { constant, type Variable } from "../autograd/tape.ts";
import { type HostTensor, toFloat32 } from "../core/host_tensor.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { FAMILIES } from "../io/families.ts";
import { moduleAlpha, moduleRank, type PeftAdapter } from "../io/peft_format.ts";
import { expectedTensors } from "../io/weights.ts";
import { type NamedMatrix, requireFinite } from "../linalg/finite.ts";
import type { Model } from "../nn/model.ts";
import type { TokenBatch } from "../nn/score.ts";
import { effectiveWeight } from "../ops/effective_weight.ts";
import { rowNorms } from "../ops/magnitude.ts";
import { Parameters } from "../autograd/parameters.ts";
import { attachLayers } from "./attach_layers.ts";
import { Adapter, type AdapterBranch, type AdapterConfig } from "./adapter.ts";
import type { Factors, Method, StartContext, Target } from "./method.ts";
import { findMethod, trainsMagnitude } from "./methods.ts";
import { resolveOptions } from "./options.ts";
import { checkPatterns, selectTargets } from "./targets.ts";
import { wholeWeights } from "./whole_weights.ts";

/** Options of `attach`. */
export interface AttachOptions extends Partial<AdapterConfig> {
  /** Starting factors by module in place of the method's own, e.g. from `readPeftAdapter`. */
  init?: PeftAdapter["factors"];
  /** Weights of the base that are trained whole beside the factors, with what they start from, e.g. from `readPeftAdapter`. */
  weights?: NonNullable<PeftAdapter["weights"]>;
  /** Batches of the training data, for a method whose start looks at data (lora-ga, eva). */
  batches?: readonly TokenBatch[];
}

/**
 * Puts a fresh adapter on `model`, in place of one that is attached.
 *
 * Defaults: method "olora", rank 8, alpha = rank (so s = 1), targets q_proj and v_proj (of GPT-2 c_attn, which is q, k
 * and v in one), no dropout, seed 0. For "full", rank and alpha mean nothing; all weights are trained, or those of the `targets` if given.
 *
 * @throws {RangeError} If the method, a target or what a pattern is for is unknown, the rank does not fit, or an option makes no sense; or a
 * weight holds NaN or infinity; all before the adapter is allocated.
 */
export async function attach(model: Model, options: AttachOptions = {}): Promise<Adapter> {
  const { targets: usual } = FAMILIES[model.config.family];
  const asked = resolveOptions({ targets: usual, ...options });
  if (asked.method === "full" && (options.weights || options.init)) {
    const found = options.weights ? "weights" : "given factors";
    throw new RangeError(
      `Cannot attach ${found} for full fine-tuning: expected none, as it starts at the base's weights`,
    );
  }
  if (asked.method === "full") return attachFull(model, asked, options.targets !== undefined);
  const method = findMethod(asked.method);
  const all = selectTargets(model.config, asked.targets).map((target): Target => ({
    ...target,
    w: model.weights.get(`${target.module}.weight`)!,
  }));
  // Of factors that are given, as from a file of PEFT's, a pattern may be for layers of other models.
  if (!options.init) checkPatterns(model.config, asked);
  const wanted = all.map(({ module }) => settingsOf(asked, module));
  const context = contextOf(model, method, options);
  // Factors that are given may be of any rank: a plain LoRA made of an olora has twice its.
  if (!options.init) checkRanks(wanted, all);
  const { gpu } = model;
  if (method.layer) {
    if (options.init || options.weights) {
      throw new RangeError(
        `Cannot attach ${method.name} with given factors: expected none, as it has no A and B`,
      );
    }
    await requireFinite(gpu, "adapt", named(all));
    return attachLayers(
      model,
      asked,
      method.layer,
      all.map((target, i) => ({ ...target, config: wanted[i] })),
    );
  }
  if (method.startsAtZero || options.init || context) await requireFinite(gpu, "adapt", named(all));
  const { config, targets, settings } = context && method.ranks
    ? withRanks(asked, all, wanted, await method.ranks(all, wanted, context))
    : { config: asked, targets: all, settings: wanted };
  const whole = await wholeWeights(model, options.weights ?? new Map());
  const factors = options.init
    ? given(gpu, targets, options.init, settings)
    : await starts(gpu, targets, settings, context);
  const parameters = roomFor(gpu, targets, factors, config, whole);
  const startsAtZero = method.startsAtZero || config.subtract === false;
  const owned: Tensor[] = [];
  const branches = new Map<string, AdapterBranch>();
  targets.forEach(({ module, w }, i) => {
    const { a, b } = factors[i];
    const entry = (name: string, value: Tensor): Variable => {
      const variable = parameters.get(name);
      if (variable) gpu.copy(value, variable.value);
      return variable ?? constant(value);
    };
    const { rank, alpha } = settings[i];
    const scale = method.scale?.(settings[i]) ?? alpha / rank;
    const magnitude = parameters.get(`${module}.magnitude`);
    if (magnitude) startMagnitude(gpu, w, factors[i], startsAtZero ? scale : undefined, magnitude.value);
    const bias = factors[i].bias && entry(`${module}.c`, factors[i].bias);
    factors[i].bias?.dispose();
    const branch = {
      ...{ a: entry(`${module}.a`, a), b: entry(`${module}.b`, b), scale },
      ...(magnitude && { magnitude }),
      ...(bias && { bias }),
    };
    branches.set(module, startsAtZero ? branch : { ...branch, start: { a, b } });
    for (const [value, variable] of [[a, branch.a], [b, branch.b]] as const) {
      if (!startsAtZero || variable.value === value) owned.push(value);
      else value.dispose();
    }
  });
  for (const [name, tensor] of whole) gpu.write(parameters.get(name)!.value, toFloat32(tensor));
  gpu.flush();
  return model.changes = new Adapter(model, config, parameters, branches, owned);
}

/** What the start is given, if it looks at data and is not given itself. */
function contextOf(
  model: Model,
  { name, batches: wanted }: Method,
  { init, batches }: AttachOptions,
): StartContext | undefined {
  if (batches && (!wanted || init)) {
    throw new RangeError(
      `Cannot attach ${name} with batches: expected none, as ${
        init ? "its factors are given" : "its start looks at no data"
      }`,
    );
  }
  if (!wanted || init) return undefined;
  if (batches?.some(({ targets }) => targets.some((target) => target >= 0))) return { model, batches };
  throw new RangeError(
    `Cannot start ${name}: found ${
      batches?.length ? "batches without a token to predict" : "no batches"
    }, expected some of the training data, as in attach(model, { method: "${name}", batches })`,
  );
}

/** Writes m of one layer to `into`: as it is given, or the norms of the rows of W + s B A, or of W where no s is given. */
function startMagnitude(
  gpu: Gpu,
  w: Tensor,
  factors: Factors,
  scale: number | undefined,
  into: Tensor,
): void {
  const { a, b, magnitude } = factors;
  const norms = () => {
    using merged = effectiveWeight(gpu, w, scale === undefined ? scale : { scale, trained: { a, b } });
    return rowNorms(gpu, merged);
  };
  using start = magnitude ?? norms();
  gpu.copy(start, into);
}

/** The settings of one layer, in which patterns have been looked up. */
export function settingsOf(config: AdapterConfig, module: string): AdapterConfig {
  const { rankPattern = {}, alphaPattern = {}, ...rest } = config;
  const rank = moduleRank({ ...rest, rankPattern }, module);
  return { ...rest, rank, alpha: moduleAlpha({ ...rest, alphaPattern }, module) };
}

/** Settings and targets with these ranks, those of rank 0 left out; each keeps its scale α / r. */
function withRanks(
  config: AdapterConfig,
  all: readonly Target[],
  settings: readonly AdapterConfig[],
  ranks: readonly number[],
): { config: AdapterConfig; targets: Target[]; settings: AdapterConfig[] } {
  const kept = [...all.keys()].filter((i) => ranks[i] > 0);
  const made = kept.map((i) => {
    const { rank, alpha } = settings[i];
    return { ...settings[i], rank: ranks[i], alpha: alpha * ranks[i] / rank };
  });
  const patterns = (name: "rank" | "alpha") =>
    Object.fromEntries(
      kept.map((i, at) => [all[i].module.replaceAll(".", "\\."), made[at][name]] as const)
        .filter(([, value]) => value !== config[name]),
    );
  const targets = kept.map((i) => all[i]);
  return {
    config: {
      ...config,
      ...(targets.length < all.length && { targets: targets.map(({ module }) => module) }),
      ...{ rankPattern: patterns("rank"), alphaPattern: patterns("alpha") },
    },
    targets,
    settings: made,
  };
}

/** Starting factors of all targets, those of equal settings made together. */
async function starts(
  gpu: Gpu,
  targets: readonly Target[],
  settings: readonly AdapterConfig[],
  context: StartContext | undefined,
): Promise<Factors[]> {
  const groups = Map.groupBy(targets.keys(), (i) => `${settings[i].rank} ${settings[i].alpha}`);
  const factors: Factors[] = [];
  for (const group of groups.values()) {
    const config = settings[group[0]];
    try {
      const own = group.map((i) => targets[i]);
      const made = await findMethod(config.method).start(gpu, own, config, context);
      group.forEach((i, at) => factors[i] = made[at]);
    } catch (error) {
      factors.forEach((made) => Object.values(made).forEach((tensor) => tensor.dispose()));
      throw error;
    }
  }
  return factors;
}

/**
 * The arena: A and B (and m or c) of each layer in turn, or all A before all B (and c) where the two are trained at different
 * rates; then whole weights.
 */
function roomFor(
  gpu: Gpu,
  targets: readonly Target[],
  factors: readonly Factors[],
  config: AdapterConfig,
  whole: ReadonlyMap<string, HostTensor>,
): Parameters {
  const method = findMethod(config.method);
  const ratio = method.ratio?.(config) ?? 1;
  const frozen = config.freeze ?? method.frozen;
  const own = targets.flatMap(({ module, out }, i) => [
    ...(frozen === "A" ? [] : [[`${module}.a`, factors[i].a.shape] as const]),
    ...(frozen === "B" ? [] : [[`${module}.b`, factors[i].b.shape] as const]),
    ...(trainsMagnitude(config) ? [[`${module}.magnitude`, [out]] as const] : []),
    ...(factors[i].bias ? [[`${module}.c`, [out]] as const] : []),
  ]);
  const rate = (name: string) => /\.[bc]$/.test(name) ? ratio : 1;
  if (ratio !== 1) own.sort(([a], [b]) => Number(rate(a) === ratio) - Number(rate(b) === ratio));
  const more = [...whole].map(([name, { shape }]) => [name, shape] as const);
  return new Parameters(gpu, new Map([...own, ...more]), rate);
}

async function attachFull(model: Model, config: AdapterConfig, chosen: boolean): Promise<Adapter> {
  const names = chosen
    ? selectTargets(model.config, config.targets).map(({ module }) => `${module}.weight`)
    : [...expectedTensors(model.config).keys()];
  const { gpu } = model;
  const matrices = names.map((name) => {
    const weight = model.weights.get(name)!;
    return { name, w: weight.shape.length === 2 ? weight : weight.view([1, weight.size]) };
  });
  await requireFinite(gpu, "train", matrices);
  const shapes = names.map((name) => [name, model.weights.get(name)!.shape] as const);
  const parameters = new Parameters(gpu, new Map(shapes));
  for (const { name, w: matrix } of matrices) {
    using dense = effectiveWeight(gpu, matrix);
    gpu.copy(dense, parameters.get(name)!.value);
  }
  gpu.flush();
  return model.changes = new Adapter(model, config, parameters, new Map(), []);
}

function named(targets: readonly Target[]): NamedMatrix[] {
  return targets.map(({ module, w }) => ({ name: module, w }));
}

function checkRanks(settings: readonly AdapterConfig[], targets: readonly Target[]): void {
  for (const [i, { module, out, in: width }] of targets.entries()) {
    const limit = Math.min(out, width);
    for (const name of ["rank", "maxRank"] as const) {
      const { [name]: rank = 0 } = settings[i];
      if (rank <= limit) continue;
      throw new RangeError(
        `Cannot attach adapter with ${name} ${rank}: expected ${name} <= min(out, in) = ${limit} for ${module}`,
      );
    }
  }
}

/** Uploads the factors in `init`, which must be those of the targets. */
function given(
  gpu: Gpu,
  targets: readonly Target[],
  init: PeftAdapter["factors"],
  settings: readonly AdapterConfig[],
): Factors[] {
  for (const [i, { module, out, in: width }] of targets.entries()) {
    const { rank } = settings[i];
    const found = init.get(module);
    const expected = `A [${rank}, ${width}] and B [${out}, ${rank}]`;
    if (!found) throw new RangeError(`Cannot start ${module}: found no factors, expected ${expected}`);
    const { a, b, magnitude, bias } = found;
    const { method } = settings[i];
    if (magnitude && !trainsMagnitude(settings[i])) {
      throw new RangeError(
        `Cannot start ${module}: found a magnitude, expected none for method ${method}; it is dora's, or an option`,
      );
    }
    for (const [name, vector] of Object.entries({ magnitude, bias })) {
      if (!vector || vector.shape.join() === `${out}`) continue;
      throw new RangeError(
        `Cannot start ${module}: found ${name} [${vector.shape.join(", ")}], expected [${out}]`,
      );
    }
    if (a.shape.join() !== `${rank},${width}` || b.shape.join() !== `${out},${rank}`) {
      throw new RangeError(
        `Cannot start ${module}: found A [${a.shape.join(", ")}] and B [${
          b.shape.join(", ")
        }], expected ${expected}`,
      );
    }
  }
  return targets.map(({ module }) => {
    const { a, b, magnitude, bias } = init.get(module)!;
    return {
      ...{ a: upload(gpu, a), b: upload(gpu, b) },
      ...(magnitude && { magnitude: upload(gpu, magnitude) }),
      ...(bias && { bias: upload(gpu, bias) }),
    };
  });
}

function upload(gpu: Gpu, host: HostTensor): Tensor {
  return gpu.keep(gpu.upload(toFloat32(host), host.shape));
}
