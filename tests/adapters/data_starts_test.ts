/** Starts that look at data: lora-ga and eva. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { attach, type AttachOptions } from "../../lib/adapters/attach.ts";
import { distribute } from "../../lib/adapters/eva.ts";
import { toFloat32 } from "../../lib/core/host_tensor.ts";
import { type Batch, batches } from "../../lib/datasets/batches.ts";
import { parseDataset } from "../../lib/datasets/load.ts";
import { readPeftAdapter } from "../../lib/io/peft.ts";
import { loadModel, type Model } from "../../lib/nn/model.ts";
import { score } from "../../lib/nn/score.ts";
import { svd } from "../../lib/linalg/svd.ts";
import { decoder, decoderBackward } from "../../lib/reference/decoder.ts";
import { loraGaStart } from "../../lib/reference/starts.ts";
import { EPS, expectClose } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import {
  batches as fixtureBatches,
  expected,
  fixturePath,
  modelFolder,
  readFixture,
  referenceModel,
} from "../helpers/fixtures.ts";

const RANK = 4;

/** What gradients and activations may be off by over their norm: sums over the tokens of four batches of 4 × 15. */
const FLOAT32 = EPS * Math.sqrt(4 * 4 * 15);

const data = parseDataset(JSON.stringify({ batches: await fixtureBatches("llama_tied") }), "b.json");
const spectra = await readFixture<Record<string, Record<string, number[]>>>("llama_tied/spectra.json");

/** The first batches that training sees. */
function first(count: number): Batch[] {
  return [...batches(data, { batchSize: 1, seqLen: 1, seed: 0 }).take(count)];
}

async function load(): Promise<Model> {
  return await loadModel(modelFolder("llama_tied")!, { gpu: await testDevice() });
}

/** How far singular vector i may turn: the error of the matrix over the distance to the next singular value. */
function turn(s: readonly number[], i: number): number {
  return FLOAT32 * s[0] / Math.min(...[i - 1, i + 1].filter((j) => j in s).map((j) => Math.abs(s[j] - s[i])));
}

/** Row i of x, or column i of it. */
const row = (x: Float32Array, n: number, i: number) => x.subarray(i * n, (i + 1) * n);
const column = (x: Float32Array, r: number, i: number) => x.filter((_, at) => at % r === i);
const norm = (x: Float32Array) => Math.hypot(...x);

/** The distance of two vectors but for their signs, over the length of the second. */
function apart(x: Float32Array, y: Float32Array): number {
  const away = (sign: number) => Math.hypot(...x.map((value, j) => value - sign * y[j])) / norm(y);
  return Math.min(away(1), away(-1));
}

Deno.test("lora-ga starts from the gradient's singular vectors that PyTorch gives, at the base", async () => {
  using model = await load();
  const { gpu } = model;
  const { ids } = await expected("llama_tied");
  const base = await score(model, ids);
  const bytes = gpu.liveBytes;
  {
    using adapter = await attach(model, {
      ...{ method: "lora-ga", rank: RANK, alpha: RANK, targets: "all-linear", batches: first(4) },
    });
    assertEquals(await score(model, ids), base);
    const { factors } = await readPeftAdapter(fixturePath("llama_tied/init/lora-ga"));
    assertEquals(factors.size, adapter.branches.size);
    let trainable = 0;
    for (const [module, { a, b }] of adapter.branches) {
      const [ours, theirs] = [[await gpu.read(a.value), await gpu.read(b.value)], factors.get(module)!];
      const [out, width] = model.weights.get(`${module}.weight`)!.shape;
      const s = spectra["lora-ga"][module];
      for (let i = 0; i < RANK; i++) {
        const rowsApart = apart(row(ours[0], width, i), row(toFloat32(theirs.a), width, i));
        assert(rowsApart < turn(s, i), `${module}: row ${i} of A is ${rowsApart} away`);
        const [mine, other] = [ours[1], toFloat32(theirs.b)].map((b) => column(b, RANK, i));
        assert(
          apart(mine, other) < turn(s, RANK + i) + FLOAT32 * s[0] / s[RANK + i],
          `${module}: column ${i} of B`,
        );
      }
      trainable += RANK * (out + width);
    }
    assertEquals(adapter.trainable, trainable);
  }
  assertEquals(gpu.liveBytes, bytes);
});

Deno.test("lora-ga starts from the twin's factors of the gradient by the float64 decoder", async () => {
  using model = await load();
  const { config, weights } = await referenceModel(modelFolder("llama_tied")!);
  const [texts] = await fixtureBatches("llama_tied");
  const batch = { b: texts.length, t: texts[0].length, ids: Int32Array.from(texts.flat()) };
  const gradients = decoderBackward(weights, config, batch, decoder(weights, config, batch));
  for (const stable of ["peft", "paper"] as const) {
    using adapter = await attach(model, {
      ...{ method: "lora-ga", rank: RANK, targets: "all-linear", batches: first(1), stable, gamma: 9 },
    });
    for (const [module, { a, b }] of adapter.branches) {
      const [m, n] = model.weights.get(`${module}.weight`)!.shape;
      const found = svd(gradients[`${module}.weight`], { m, n });
      const twin = loraGaStart(found, { r: RANK, gamma: 9, stable });
      const [ours, theirs] = [
        [await model.gpu.read(a.value), await model.gpu.read(b.value)],
        [twin.a, twin.b].map((x) => Float32Array.from(x)),
      ];
      const s = [...found.s];
      for (let i = 0; i < RANK; i++) {
        const ofA = apart(row(ours[0], n, i), row(theirs[0], n, i));
        assert(ofA < turn(s, i), `${stable}, ${module}: row ${i} of A is ${ofA} away`);
        const ofB = apart(column(ours[1], RANK, i), column(theirs[1], RANK, i));
        const size = FLOAT32 * s[0] / s[RANK + i];
        assert(ofB < turn(s, RANK + i) + size, `${stable}, ${module}: column ${i} of B is ${ofB} away`);
      }
    }
  }
});

Deno.test('lora-ga with stable "paper" has orthonormal factors of size out^¼ / √γ along the same directions', async () => {
  using model = await load();
  const { gpu } = model;
  const options = { method: "lora-ga", rank: RANK, targets: ["q_proj", "down_proj"], batches: first(4) };
  using peft = await attach(model, options);
  using paper = await attach(model, { ...options, stable: "paper", gamma: 4 });
  for (const [module, { a, b }] of paper.branches) {
    const [out, width] = model.weights.get(`${module}.weight`)!.shape;
    const size = out ** 0.25 / 2;
    const other = peft.branches.get(module)!;
    const [ours, theirs] = await Promise.all(
      [[a, b], [other.a, other.b]].map((factors) => Promise.all(factors.map(({ value }) => gpu.read(value)))),
    );
    for (let i = 0; i < RANK; i++) {
      const vectors = [ours, theirs].map(([a, b]) => [row(a, width, i), column(b, RANK, i)]);
      for (const at of [0, 1]) {
        const [x, y] = vectors.map((pair) => pair[at]);
        expectClose([norm(x)], [size], Math.sqrt(x.length) * EPS * size, `${module}, length ${i}`);
        const far = apart(x.map((value) => value / norm(x)), y.map((value) => value / norm(y)));
        expectClose([far], [0], Math.sqrt(x.length) * EPS, module);
      }
    }
  }
});

Deno.test("eva starts from PEFT's axes with PEFT's ranks, at the base, and each layer keeps its scale", async () => {
  using model = await load();
  const { gpu } = model;
  const { ids } = await expected("llama_tied");
  const base = await score(model, ids);
  const bytes = gpu.liveBytes;
  {
    using adapter = await attach(model, {
      ...{ method: "eva", rank: RANK, alpha: 2 * RANK, targets: "all-linear", batches: first(2) },
    });
    assertEquals(await score(model, ids), base);
    const { factors } = await readPeftAdapter(fixturePath("llama_tied/init/eva"));
    assertEquals([...adapter.branches.keys()].sort(), [...factors.keys()].sort());
    let trainable = 0;
    const ranks = new Set<number>();
    for (const [module, { a, b, scale }] of adapter.branches) {
      const theirs = factors.get(module)!.a;
      assertEquals(a.value.shape, theirs.shape, module);
      assertEquals(scale, 2);
      const [rank, width] = theirs.shape;
      ranks.add(rank);
      trainable += rank * (b.value.shape[0] + width);
      const [ours, other] = [await gpu.read(a.value), toFloat32(theirs)];
      for (let i = 0; i < rank; i++) {
        const far = apart(row(ours, width, i), row(other, width, i));
        assert(far < turn(spectra.eva[module], i), `${module}: row ${i} of A is ${far} away`);
      }
      assert((await gpu.read(b.value)).every((value) => value === 0));
    }
    assert(ranks.size > 1, "the ranks are not all the same");
    assertEquals(adapter.trainable, trainable);
  }
  assertEquals(gpu.liveBytes, bytes);
});

Deno.test("eva with rho 1 leaves all layers at their ranks, also those of a pattern", async () => {
  using model = await load();
  using adapter = await attach(model, {
    ...{
      method: "eva",
      rank: RANK,
      rho: 1,
      targets: "all-linear",
      rankPattern: { q_proj: 2 },
      batches: first(1),
    },
  });
  for (const [module, { a }] of adapter.branches) {
    assertEquals(a.value.shape[0], module.endsWith("q_proj") ? 2 : RANK, module);
  }
});

Deno.test("distribute() takes the largest shares, of equal ones the earlier axis and then the earlier layer", () => {
  assertEquals(distribute([[0.5, 0.2], [0.9, 0.4], [0.1, 0.05]], 3), [1, 2, 0]);
  assertEquals(distribute([[0.5, 0.2], [0.5, 0.2], [0.5, 0.2]], 4), [2, 1, 1]);
  assertEquals(distribute([[0], [0, 0]], 9), [1, 2]);
});

Deno.test("attach() refuses a start that looks at data without any, and data for one that does not", async () => {
  using model = await load();
  const none: Batch[] = first(1).map((batch) => ({ ...batch, targets: batch.targets.map(() => -1) }));
  const few: Batch[] = first(1).map((batch) => ({
    ...batch,
    targets: batch.targets.map((id, i) => i < 3 ? id : -1),
  }));
  const refusals: [AttachOptions, string][] = [
    [
      { method: "lora-ga" },
      "Cannot start lora-ga: found no batches, expected some of the training data, as in",
    ],
    [
      { method: "eva", batches: none },
      "Cannot start eva: found batches without a token to predict, expected",
    ],
    [
      { method: "olora", batches: none },
      "Cannot attach olora with batches: expected none, as its start looks at no",
    ],
    [
      { method: "eva", init: new Map(), batches: none },
      "Cannot attach eva with batches: expected none, as its factors are given",
    ],
    [
      { method: "lora-ga", rank: 9, batches: first(1) },
      "Cannot start lora-ga with rank 9: expected 2 rank <= min(out, in) = 16 for model.layers.0.self_attn.v_proj",
    ],
    [
      { method: "eva", rank: RANK, batches: few },
      "Cannot start eva: found 3 tokens in the batches, expected at least the rank 4 of",
    ],
  ];
  for (const [options, message] of refusals) {
    await assertRejects(() => attach(model, options), RangeError, message);
  }
});
