/**
 * What other systems computed (tests/parity/make, tests/parity/fixtures), read into the shapes that tests compare.
 */
import type { MethodOptions } from "../../lib/adapters/options.ts";
import type { HostTensor } from "../../lib/core/host_tensor.ts";
import { toFloat32 } from "../../lib/core/host_tensor.ts";
import { openModelTensors } from "../../lib/io/model_tensors.ts";
import { openSafetensors } from "../../lib/io/safetensors.ts";
import type { Adapters, DecoderConfig, Weights } from "../../lib/reference/decoder.ts";
import type { GptConfig } from "../../lib/reference/gpt_decoder.ts";
import { rowNorms } from "../../lib/reference/magnitude.ts";
import { qr } from "../../lib/reference/qr.ts";
import { referenceData } from "./requires.ts";

const root = new URL("../parity/fixtures/", import.meta.url);

/** Models that fixtures speak of; the weights of stories260k are not in this repository ({@linkcode modelFolder}). */
export type FixtureModel = "llama_tied" | "llama_untied" | "stories260k";

/** Fixtures of one family each, without trainings. */
export type FixtureFamily = "llama3" | "mistral" | "qwen2" | "qwen3" | "gemma" | "opt" | "gpt2";

/** What transformers says of a model, run in float64 on its float32 file. */
export interface Expected {
  /** Token ids, one text a row. */
  ids: number[][];
  /** Nats of ids[i][t + 1] at entry t. */
  nll: number[][];
  /** Greedy continuation of a prompt. */
  greedy: { prompt: number[]; continuation: number[] };
  /** Norm of the gradient of the mean of `nll` for each weight. */
  gradientNorms: Record<string, number>;
}

/** A training of 20 steps by PEFT or PyTorch in float64. */
export interface FixtureRun {
  /** Folder of start factors under `init/`, see {@linkcode initFolder}; null for full fine-tuning. */
  init: string | null;
  /** Settings under the names of an experiment's config. */
  config: MethodOptions & {
    method: string;
    rank?: number;
    alpha?: number;
    targets?: "all-linear" | string[];
    rankPattern?: Record<string, number>;
    alphaPattern?: Record<string, number>;
    steps: number;
    learningRate: number;
    schedule: "constant" | "cosine";
    warmup: number;
    weightDecay: number;
    clip: number;
    accumulate: number;
  };
  /** Numbers trained. */
  trainable: number;
  /** Loss before each update, mean over the predicted tokens. */
  losses: number[];
  /** Global norm of the gradient at each step, before clipping. */
  gradientNorms: number[];
  /** Learning rate of each update. */
  learningRates: number[];
  /** Loss of the first batch after the last update. */
  after: number;
  /** Ranks of each module at the end, where they change. */
  ranks?: Record<string, number>;
}

/** A matrix and its QR by LAPACK in float64, diag(R) >= 0; the first `unique` columns of Q and rows of R are unique. */
export interface QrCase {
  name: string;
  m: number;
  n: number;
  unique: number;
  /** `[m, n]`, float32 values. */
  w: Float64Array;
  /** `[m, min(m, n)]`. */
  q: Float64Array;
  /** `[min(m, n), n]`. */
  r: Float64Array;
}

/** Path of a file or folder under tests/parity/fixtures. */
export function fixturePath(path: string): string {
  return decodeURIComponent(new URL(path, root).pathname);
}

/** The JSON of a fixture, gunzipped where its name ends in .gz. */
export async function readFixture<T>(path: string): Promise<T> {
  const file = (await Deno.open(fixturePath(path))).readable;
  const text = path.endsWith(".gz") ? file.pipeThrough(new DecompressionStream("gzip")) : file;
  return await new Response(text).json();
}

/** All QR cases. */
export async function qrCases(): Promise<QrCase[]> {
  const cases = await readFixture<Record<string, unknown>[]>("qr.json.gz");
  return cases.map((each) => ({
    ...each,
    w: Float64Array.from(each.w as number[], Math.fround),
    q: Float64Array.from(each.q as number[]),
    r: Float64Array.from(each.r as number[]),
  } as QrCase));
}

/**
 * Folder of a model's weights: committed, or for stories260k in the reference data; undefined where that is missing, which
 * `referenceData` says: `Deno.test({ ignore: !modelFolder("stories260k"), … })`.
 */
export function modelFolder(model: FixtureModel): string | undefined {
  if (model !== "stories260k") return fixturePath(model);
  const { path, ignore } = referenceData("stories260k/hf_derived");
  return ignore ? undefined : path;
}

/** A temporary copy of a committed model whose config.json has the form of transformers 4. */
export async function oldFormFolder(model: "llama_tied" | "llama_untied" | FixtureFamily): Promise<string> {
  const folder = await Deno.makeTempDir();
  await Deno.copyFile(fixturePath(`${model}/config.old.json`), `${folder}/config.json`);
  await Deno.copyFile(fixturePath(`${model}/model.safetensors`), `${folder}/model.safetensors`);
  return folder;
}

/** What transformers says of `model`. */
export function expected(model: FixtureModel | FixtureFamily): Promise<Expected> {
  return readFixture(`${model}/expected.json.gz`);
}

/** The trainings of `model` by name. */
export function runs(model: FixtureModel): Promise<Record<string, FixtureRun>> {
  return readFixture(`${model}/runs.json`);
}

/** Trainings of llama_tied by methods beside olora and lora. */
export async function variants(): Promise<Record<string, FixtureRun>> {
  const files = ["variants", "starts", "data_starts", "layers", "remora", "ranks", "alora"].map((name) =>
    readFixture<Record<string, FixtureRun>>(`llama_tied/${name}.json`)
  );
  return Object.assign({}, ...await Promise.all(files));
}

/** The batches that the trainings of `model` read, `accumulate` of them a step: `[batch][text][token]`. */
export async function batches(model: FixtureModel): Promise<number[][][]> {
  return (await readFixture<{ batches: number[][][] }>(`${model}/batches.json`)).batches;
}

/** Start factors of a run in PEFT's format; undefined for olora on stories260k, which starts from its QR. */
export function initFolder(model: FixtureModel, run: FixtureRun): string | undefined {
  if (!run.init || (model === "stories260k" && run.config.method === "olora")) return undefined;
  return fixturePath(`${model}/init/${run.init}`);
}

/** Config and weights of a Hugging Face folder of OPT or GPT-2 for the float64 decoder. */
export async function gptModel(folder: string): Promise<{ config: GptConfig; weights: Weights }> {
  const json = JSON.parse(await Deno.readTextFile(`${folder}/config.json`));
  const isOpt = json.model_type === "opt";
  const d = isOpt ? json.hidden_size : json.n_embd;
  const offset = isOpt ? 2 : 0;
  const at = isOpt ? "model.decoder" : "transformer";
  const config: GptConfig = {
    v: json.vocab_size,
    d,
    layers: isOpt ? json.num_hidden_layers : json.n_layer,
    h: isOpt ? json.num_attention_heads : json.n_head,
    hidden: isOpt ? json.ffn_dim : json.n_inner ?? 4 * d,
    eps: json.layer_norm_epsilon ?? 1e-5,
    positions: { rows: offset + (isOpt ? json.max_position_embeddings : json.n_positions), offset },
    activation: isOpt ? "relu" : "gelu",
    names: isOpt
      ? {
        embedding: `${at}.embed_tokens`,
        positions: `${at}.embed_positions`,
        blocks: `${at}.layers`,
        norm: `${at}.final_layer_norm`,
        attentionNorm: "self_attn_layer_norm",
        attention: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
        attentionOut: "self_attn.out_proj",
        mlpNorm: "final_layer_norm",
        up: "fc1",
        down: "fc2",
      }
      : {
        embedding: `${at}.wte`,
        positions: `${at}.wpe`,
        blocks: `${at}.h`,
        norm: `${at}.ln_f`,
        attentionNorm: "ln_1",
        attention: ["attn.c_attn"],
        attentionOut: "attn.c_proj",
        mlpNorm: "ln_2",
        up: "mlp.c_fc",
        down: "mlp.c_proj",
      },
  };
  return { config, weights: await doubleWeights(folder) };
}

/** Config and weights of a Hugging Face folder for the float64 decoder. */
export async function referenceModel(folder: string): Promise<{ config: DecoderConfig; weights: Weights }> {
  const json = JSON.parse(await Deno.readTextFile(`${folder}/config.json`));
  const config = {
    v: json.vocab_size,
    d: json.hidden_size,
    layers: json.num_hidden_layers,
    h: json.num_attention_heads,
    hk: json.num_key_value_heads,
    c: json.head_dim ?? json.hidden_size / json.num_attention_heads,
    hidden: json.intermediate_size,
    eps: json.rms_norm_eps,
    ropeBase: json.rope_parameters?.rope_theta ?? json.rope_theta,
    ...(json.rope_parameters?.rope_type === "llama3" && { ropeScaling: scalingOf(json.rope_parameters) }),
    ...(json.sliding_window && json.model_type === "mistral" && { window: json.sliding_window }),
    ...(json.model_type === "gemma" && {
      activation: "gelu" as const,
      normOffset: 1,
      embeddingScale: Math.sqrt(json.hidden_size),
    }),
  };
  return { config, weights: await doubleWeights(folder) };
}

async function doubleWeights(folder: string): Promise<Weights> {
  using file = await openModelTensors(folder);
  const weights: Weights = {};
  for (const name of file.tensors.keys()) weights[name] = toDouble(await file.read(name));
  return weights;
}

function scalingOf(rope: Record<string, number>): DecoderConfig["ropeScaling"] {
  return {
    factor: rope.factor,
    low: rope.low_freq_factor,
    high: rope.high_freq_factor,
    context: rope.original_max_position_embeddings,
  };
}

/** Adapters of `run` at its start for the float64 decoder, with B₀ and A₀ where the method is olora, m where it is dora. */
export async function referenceStart(
  model: FixtureModel,
  run: FixtureRun,
  { config, weights }: { config: DecoderConfig; weights: Weights },
): Promise<Adapters> {
  const { method, rank = 0, alpha = 0 } = run.config;
  if (method === "full") return {};
  const folder = initFolder(model, run);
  const starts = folder ? await readFactors(folder) : qrFactors(weights, config, rank);
  return Object.fromEntries(
    Object.entries(starts).map(([name, { a, b }]) => {
      const start = method === "olora" ? { a0: a.slice(), b0: b.slice() } : {};
      const w = weights[`${name}.weight`];
      const d = b.length / rank;
      const magnitude = method === "dora" || run.config.magnitude
        ? { magnitude: rowNorms(w, { d, k: w.length / d }) }
        : {};
      return [name, { rank, scale: alpha / rank, a, b, ...start, ...magnitude }];
    }),
  );
}

type Factors = Record<string, { a: Float64Array; b: Float64Array }>;

async function readFactors(folder: string): Promise<Factors> {
  using file = await openSafetensors(`${folder}/adapter_model.safetensors`);
  const factors: Factors = {};
  for (const key of file.tensors.keys()) {
    const [, name, letter] = key.match(/^base_model\.model\.(.+)\.lora_([AB])\.weight$/) ?? [];
    Object.assign(factors[name] ??= {} as Factors[string], {
      [letter.toLowerCase()]: toDouble(await file.read(key)),
    });
  }
  return factors;
}

/** OLoRA's start of every linear layer, rounded to float32 as a file would hold it. */
function qrFactors(weights: Weights, { d, h, hk, c, hidden }: DecoderConfig, rank: number): Factors {
  const shapes: Record<string, [number, number]> = {
    q_proj: [h * c, d],
    k_proj: [hk * c, d],
    v_proj: [hk * c, d],
    o_proj: [d, h * c],
    gate_proj: [hidden, d],
    up_proj: [hidden, d],
    down_proj: [d, hidden],
  };
  const factors: Factors = {};
  for (const [name, w] of Object.entries(weights)) {
    const shape = shapes[name.split(".").at(-2) ?? ""];
    if (!shape) continue;
    const { q, r } = qr(w, { m: shape[0], n: shape[1] }, { columns: rank });
    factors[name.replace(/\.weight$/, "")] = { a: r.map(Math.fround), b: q.map(Math.fround) };
  }
  return factors;
}

function toDouble(tensor: HostTensor): Float64Array {
  return Float64Array.from(toFloat32(tensor));
}
