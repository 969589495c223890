import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Adapter } from "../../lib/adapters/adapter.ts";
import { attach, type AttachOptions } from "../../lib/adapters/attach.ts";
import { attachQuantized } from "../../lib/adapters/quantized.ts";
import { hostTensor, toFloat32 } from "../../lib/core/host_tensor.ts";
import { quantize, type QuantizedDType } from "../../lib/core/quantize.ts";
import { batches } from "../../lib/datasets/batches.ts";
import { loadDataset } from "../../lib/datasets/load.ts";
import type { Tensor } from "../../lib/gpu/tensor.ts";
import { linearModules } from "../../lib/io/weights.ts";
import { svd } from "../../lib/linalg/svd.ts";
import { loadModel, Model } from "../../lib/nn/model.ts";
import { quantizeModel } from "../../lib/nn/quantize.ts";
import { score } from "../../lib/nn/score.ts";
import { effectiveWeight } from "../../lib/ops/effective_weight.ts";
import { matmul } from "../../lib/reference/matmul.ts";
import { qr } from "../../lib/reference/qr.ts";
import { Trainer } from "../../lib/train/train.ts";
import { changeOf } from "../../lib/adapters/adapter.ts";
import { bound, EPS, expectClose } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import { readFixture } from "../helpers/fixtures.ts";

const gpu = await testDevice();
const model = await loadModel("tiny", { gpu });
globalThis.addEventListener("unload", () => model[Symbol.dispose]());
const path = decodeURIComponent(new URL("../../data/tiny/facts/train.jsonl", import.meta.url).pathname);
const rows = await loadDataset(path, model.tokenizer);
const MODULE = "model.layers.1.self_attn.v_proj";
const weightOf = ({ weights }: Model, module = MODULE) => weights.get(`${module}.weight`)!;

/** The numbers of `model` with every matrix in blocks widened to f32. */
async function widened(from: Model): Promise<Model> {
  const weights = new Map<string, Tensor>();
  for (const [name, weight] of from.weights) {
    weights.set(name, gpu.keep(gpu.upload(await gpu.read(weight), weight.shape)));
  }
  return new Model(gpu, from.source, from.config, from.tokenizer, weights);
}

/** Losses of three steps, and scores after them. */
async function trained(adapter: Adapter): Promise<{ losses: number[]; scores: number[][] }> {
  using trainer = new Trainer(adapter, batches(rows, { batchSize: 4, seqLen: 32, seed: 1 }), {
    steps: 3,
    learningRate: 1e-2,
  });
  const losses = (await Array.fromAsync(trainer.run())).flat().map(({ loss }) => loss);
  return { losses, scores: (await score(adapter.model, [[1, 5, 9, 33]])).map((row) => [...row]) };
}

for (const dtype of ["nf4", "int8", "q8_0", "q4_0"] as QuantizedDType[]) {
  Deno.test(`quantizeModel() to ${dtype} packs the linear layers and copies the rest; training equals that on their f32 numbers, bit for bit`, async () => {
    using quantized = await quantizeModel(model, dtype);
    const modules = linearModules(model.config);
    for (const [name, weight] of quantized.weights) {
      const original = model.weights.get(name)!;
      const module = name.replace(/\.weight$/, "");
      if (modules.has(module)) {
        const { out, in: width } = modules.get(module)!;
        const host = quantize(name, [out, width], await gpu.read(original), dtype);
        assertEquals([weight.dtype, weight.byteLength], [dtype, host.bytes.length]);
        assertEquals(await gpu.readBytes(weight), host.bytes);
      } else {
        assertEquals(weight.dtype, original.dtype);
        assertEquals(await gpu.read(weight), await gpu.read(original));
      }
    }
    using wide = await widened(quantized);
    const options: AttachOptions = { method: "olora", rank: 4, targets: "all-linear" };
    using first = await attach(quantized, options);
    using second = await attach(wide, options);
    assertEquals(await trained(first), await trained(second));
  });
}

/** W − W̃ of one layer, W̃ = Q + s B A as the model computes it. */
async function lost({ model: quantized, adapter }: { model: Model; adapter: Adapter }, module = MODULE) {
  using made = effectiveWeight(gpu, weightOf(quantized, module), changeOf(adapter.branch(module)!));
  const w = await gpu.read(weightOf(model, module));
  const values = await gpu.read(made);
  return Float64Array.from(w, (x, i) => x - values[i]);
}

const norm = (x: ArrayLike<number>) => Math.hypot(...Array.from(x));

Deno.test("attachQuantized() with loftq leaves the singular values past r of what quantising lost, whatever s; more rounds less", async () => {
  const w = await gpu.read(weightOf(model));
  const [m, n] = weightOf(model).shape;
  const q = toFloat32(quantize("w", [m, n], w, "nf4"));
  const { s } = svd(Float64Array.from(w, (x, i) => x - q[i]), { m, n });
  for (const alpha of [4, 1]) {
    const made = await attachQuantized(model, {
      dtype: "nf4",
      method: "loftq",
      rank: 4,
      alpha,
      targets: ["v_proj"],
    });
    const { model: quantized, adapter } = made;
    assertEquals(toFloat32({ ...hostOf(await gpu.readBytes(weightOf(quantized)), [m, n]) }), q);
    const error = norm(await lost(made));
    // What f32 makes of W, of the factors and of their sum.
    const rounding = 3 * EPS * norm(w);
    expectClose([error], [norm(s.slice(4))], rounding, "error");
    const { model: more, adapter: last } = await attachQuantized(model, {
      ...{ dtype: "nf4", method: "loftq", rank: 4, alpha, targets: ["v_proj"], iterations: 5 },
    });
    assert(norm(await lost({ model: more, adapter: last })) < error);
    for (const each of [adapter, quantized, last, more]) each[Symbol.dispose]();
  }
});

interface LoftqCase {
  name: "plain" | "nf4" | "int8";
  rounds: number;
  error: number;
  q: string;
  a?: string;
  b?: string;
  apart?: number;
}

const loftq = await readFixture<{ module: string; rank: number; cases: LoftqCase[] }>("loftq.json");

for (const { name, rounds, error, q: digest, ...first } of loftq.cases) {
  Deno.test(`attachQuantized() with loftq leaves of W what PEFT's loftq_init leaves: ${name}, rounds ${rounds}`, async () => {
    const { module, rank } = loftq;
    const [m, n] = weightOf(model, module).shape;
    const w = await gpu.read(weightOf(model, module));
    const dtype = name === "plain" ? "nf4" : name;
    const made = await attachQuantized(model, {
      ...{ dtype, method: "loftq", rank, targets: ["v_proj"], iterations: rounds },
    });
    using adapter = made.adapter;
    using quantized = made.model;
    using held = effectiveWeight(gpu, weightOf(quantized, module));
    const q = await gpu.read(held);
    const { s } = svd(Float64Array.from(w, (x, i) => x - q[i]), { m, n });
    // PEFT's decomposition is in f32, which turns the space of r triplets by its error over the gap (Wedin). Rounding
    // of W, Q and the sum with it.
    const turned = EPS * Math.sqrt(m + n) * s[0] * (1 + 2 * s[0] / (s[rank - 1] - s[rank]));
    const rounding = 4 * EPS * norm(w) + turned;
    const found = norm(await lost(made, module));
    if (name === "plain") {
      const plain = loftq.cases.find((other) => other.name === dtype && other.rounds === rounds)!;
      // The norm of the triplets past r moves by at most as much as the matrix.
      assert(Math.abs(found - error) <= plain.apart! + rounding && plain.apart! > rounding);
      return;
    }
    expectClose([found], [error], rounding, "error");
    if (name === "nf4") {
      assertEquals(new Uint8Array(await crypto.subtle.digest("SHA-256", q)).toHex(), digest);
    }
    if (rounds > 1) return;
    const { a, b } = adapter.branch(module)!;
    const product = (a: Float64Array, b: Float64Array) => matmul(b, a, { m, n, k: rank });
    const floats = (text: string) => Float64Array.from(new Float32Array(Uint8Array.fromBase64(text).buffer));
    const theirs = product(floats(first.a!), floats(first.b!));
    const ours = product(
      Float64Array.from(await gpu.read(a.value)),
      Float64Array.from(await gpu.read(b.value)),
    );
    expectClose([norm(ours.map((x, i) => x - theirs[i]))], [0], rounding, "B A");
  });
}

function hostOf(bytes: Uint8Array<ArrayBuffer>, shape: readonly number[]) {
  return { dtype: "nf4", shape, bytes } as const;
}

Deno.test("attachQuantized() with olora quantises W − s B₀ A₀ and adds s B A: its twin in float64", async () => {
  const [m, n] = weightOf(model).shape;
  const w = await gpu.read(weightOf(model));
  const [rank, scale] = [4, 0.5];
  const { q, r } = qr(Float64Array.from(w), { m, n });
  const k = Math.min(m, n);
  const rest = Float64Array.from(w);
  const magnitude = Float64Array.from(w, Math.abs);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      for (let l = 0; l < rank; l++) {
        const term = scale * q[i * k + l] * r[l * n + j];
        rest[i * n + j] -= term;
        magnitude[i * n + j] += Math.abs(term);
      }
    }
  }
  const made = await attachQuantized(model, {
    dtype: "int8",
    rank,
    alpha: scale * rank,
    targets: ["v_proj"],
  });
  const branch = made.adapter.branch(MODULE)!;
  assertEquals([made.adapter.config.method, branch.start, branch.scale], ["lora", undefined, scale]);
  assertEquals(made.model.source.name, "tiny less the start of olora, in int8");
  const base = await gpu.read(weightOf(made.model));
  // An entry may fall to the other side of a step of its row: half a step is what rounding to the grid itself costs.
  const step = rest.map((_, at) => {
    const row = rest.subarray(Math.floor(at / n) * n, (Math.floor(at / n) + 1) * n);
    return Math.max(...row.map(Math.abs)) / 127;
  });
  // The factors carry the error of the QR on the device, at most √m eps of W's norm.
  const slack = bound(2 * rank + m, magnitude).map((x) => x + EPS * norm(w));
  expectClose(base, rest, step.map((x, i) => x / 2 * (1 + 4 * EPS) + slack[i]), "quant(W − s B₀ A₀)");
  expectClose(await lost(made), new Float64Array(m * n), step.map((x, i) => x / 2 + 2 * slack[i]), "W − W̃");
  made.adapter[Symbol.dispose]();
  made.model[Symbol.dispose]();
});

Deno.test("attachQuantized() with olora at s = 1 takes r columns out of what is quantised: those alone lose nothing", async () => {
  const rank = 8;
  const made = await attachQuantized(model, { dtype: "nf4", rank, targets: ["v_proj"] });
  const n = weightOf(model).shape[1];
  const error = await lost(made);
  const w = await gpu.read(weightOf(model));
  const columns = Array.from(error.filter((_, at) => at % n < rank));
  expectClose(columns, columns.map(() => 0), EPS * norm(w), "first columns");
  assert(norm(error.filter((_, at) => at % n === rank)) > 100 * EPS * norm(w));
  made.adapter[Symbol.dispose]();
  made.model[Symbol.dispose]();
});

Deno.test("attachQuantized() leaves the model and what is attached to it as they were, and nothing on the device", async () => {
  using adapter = await attach(model, { rank: 2 });
  const before = gpu.liveBytes;
  for (const method of ["olora", "pissa", "milora", "lora", "dora"]) {
    const made = await attachQuantized(model, { dtype: "q4_0", method, rank: 2, targets: ["v_proj"] });
    assertEquals(model.changes, adapter);
    assertEquals(made.model.changes, made.adapter);
    made.adapter[Symbol.dispose]();
    made.model[Symbol.dispose]();
    assertEquals([method, gpu.liveBytes], [method, before]);
  }
  for (
    const [options, message] of [
      [{ dtype: "nf4", rank: 999 }, "Cannot attach adapter with rank 999"],
      [{ dtype: "nf4", method: "loftq", rank: 999 }, "Cannot attach adapter with rank 999"],
      [{ dtype: "nf4", method: "loftq", iterations: 0 }, "Cannot start loftq with iterations 0"],
      [{ dtype: "fp4" as "nf4" }, "Cannot quantize to fp4: expected one of nf4, int8, q8_0, q4_0"],
    ] as const
  ) {
    await assertRejects(() => attachQuantized(model, options), RangeError, message);
    assertEquals([model.changes, gpu.liveBytes], [adapter, before]);
  }
});

Deno.test("quantizeModel() names the layer that it cannot quantise, and refuses blocks", async () => {
  const before = gpu.liveBytes;
  const weights = new Map(model.weights);
  const [m, n] = weightOf(model).shape;
  const values = new Float32Array(m * n);
  values[n + 2] = NaN;
  using bad = gpu.keep(gpu.uploadHost(hostTensor([m, n], values)));
  weights.set(`${MODULE}.weight`, bad);
  const broken = new Model(gpu, model.source, model.config, undefined, weights);
  await assertRejects(
    () => quantizeModel(broken, "nf4"),
    RangeError,
    `Cannot quantize ${MODULE} to nf4: entry [1, 2] is NaN, expected a finite number`,
  );
  broken.rotary?.dispose();
  using quantized = await quantizeModel(model, "q8_0");
  await assertRejects(
    () => quantizeModel(quantized, "nf4"),
    TypeError,
    "got q8_0, expected f32, f16 or bf16",
  );
  quantized[Symbol.dispose]();
  bad.dispose();
  assertEquals(gpu.liveBytes, before);
});
