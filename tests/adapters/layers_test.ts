import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { attach, type AttachOptions } from "../../lib/adapters/attach.ts";
import type { Adapter } from "../../lib/adapters/adapter.ts";
import { combine } from "../../lib/adapters/combine.ts";
import { scoreEach } from "../../lib/adapters/flora_batch.ts";
import { floraLayer } from "../../lib/adapters/flora.ts";
import { layerWeight } from "../../lib/adapters/layer_weight.ts";
import { addMethod } from "../../lib/adapters/methods.ts";
import { mora } from "../../lib/adapters/mora.ts";
import { loadAdapter, saveAdapter } from "../../lib/adapters/save.ts";
import { saveModel } from "../../lib/adapters/save_model.ts";
import { spectrum } from "../../lib/adapters/spectrum.ts";
import { constant, Tape } from "../../lib/autograd/tape.ts";
import { Rng } from "../../lib/core/rng.ts";
import { openSafetensors } from "../../lib/io/safetensors.ts";
import { toFloat32 } from "../../lib/core/host_tensor.ts";
import { loadModel } from "../../lib/nn/model.ts";
import { score } from "../../lib/nn/score.ts";
import { floraWeight } from "../../lib/reference/flora.ts";
import { moraMatrix } from "../../lib/reference/mora.ts";
import { bound, EPS, expectClose } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import { modelFolder } from "../helpers/fixtures.ts";
import { ids, load, trainer } from "./llama_untied.ts";

const RANK = 3;

const FORMS: AttachOptions[] = [
  { method: "mora", type: 1, rank: RANK, targets: "all-linear" },
  { method: "mora", type: 6, rank: RANK, targets: "all-linear" },
  { method: "mora", rank: RANK, dropout: 0.3 },
  { method: "remora", rank: RANK, targets: "all-linear", mergeInterval: 2 },
  { method: "remora", rank: RANK, dropout: 0.3, mergeInterval: 2 },
  { method: "flora", rank: RANK, targets: "all-linear" },
  { method: "flora", rank: 1 },
  { method: "flora", rank: 1, freeze: "A" },
  { method: "flora", rank: 1, freeze: "B" },
];

async function train(adapter: Adapter, steps = 3): Promise<void> {
  using training = trainer(adapter, { steps });
  await Array.fromAsync(training.run());
}

/** Numbers that a layer of `out` × `width` trains, by the papers' formulas. */
function count({ method, type, rank = 0, freeze }: AttachOptions, out: number, width: number): number {
  if (method === "flora") return rank * ((freeze === "A" ? 0 : out) + (freeze === "B" ? 0 : width));
  const side = Math.floor(Math.sqrt((out + width) * rank) + 0.5);
  return (type === 1 || method === "remora" ? side : side - side % 2) ** 2;
}

/** The weight of `module` by the twins, in float64, and Σ|terms| of each entry. */
async function twin({ model: { gpu, weights }, parameters, config, course }: Adapter, module: string) {
  const w = weights.get(`${module}.weight`)!;
  const [out, width] = w.shape;
  const read = async (name: string) =>
    Float64Array.from(await gpu.read(parameters.get(`${module}.${name}`)!.value));
  const base = Float64Array.from(await gpu.read(w));
  if (config.method === "flora") {
    const [a, b] = [await read("a"), await read("b")];
    const dims = { out, in: width, r: config.rank };
    const size = floraWeight(base.map(Math.abs), { a: a.map(Math.abs), b: b.map(Math.abs) }, dims);
    return { value: floraWeight(base, { a, b }, dims), size };
  }
  if (config.method === "remora") {
    const sides = await Promise.all(([1, 2] as const).map(async (type) => {
      const saved = async (name: string) =>
        Float64Array.from(await gpu.read(course!.saved.get(`${module}.${name}${type}`)!));
      const [m, merged, turn] = [await read("m"), await saved("merged"), await saved("turn")];
      const dims = { out, in: width, side: turn.length };
      return (change: (x: number) => number) =>
        moraMatrix(m.map((x, at) => change(x) * turn[at % turn.length] + change(merged[at])), dims, type);
    }));
    const whole = (change: (x: number) => number) =>
      sides.map((side) => side(change)).reduce(
        (sum, dw) => sum.map((x, at) => x + dw[at]),
        base.map(change),
      );
    return { value: whole((x) => x), size: whole(Math.abs) };
  }
  const m = await read("m");
  const dims = { out, in: width, side: Math.sqrt(m.length) };
  const type = config.type ?? 6;
  const size = type === 1 ? moraMatrix(m.map(Math.abs), dims, 1) : await turnedSize(m, dims);
  return {
    value: moraMatrix(m, dims, type).map((x, i) => x + base[i]),
    size: size.map((x, i) => x + Math.abs(base[i])),
  };
}

/** A bound on Σ|terms| of type 6: sine and cosine are at most 1, so a row's sum of |M| is. */
function turnedSize(m: Float64Array, { out, in: width, side }: { out: number; in: number; side: number }) {
  const wide = Math.ceil(width / side) * side;
  return Float64Array.from({ length: out * width }, (_, at) => {
    const row = Math.floor(at / width) % wide % side;
    return m.subarray(row * side, (row + 1) * side).reduce((sum, x) => sum + Math.abs(x), 0);
  });
}

for (const options of FORMS) {
  Deno.test(`${JSON.stringify(options)}: starts at the base, is merged to what it computes, saved and loaded`, async () => {
    using model = await load();
    const { gpu } = model;
    const base = await score(model, ids);
    using adapter = await attach(model, options);
    // One product with W for all k sums in another order where there are several.
    const start = await score(model, ids);
    if (options.method === "flora" && options.rank !== 1) {
      start.forEach((row, i) => expectClose(row, base[i], 1e-5, `row ${i} at the start`));
    } else assertEquals(start, base);
    const shapes = [...adapter.layers.keys()].map((module) => model.weights.get(`${module}.weight`)!.shape);
    assertEquals(adapter.trainable, shapes.reduce((sum, [out, n]) => sum + count(options, out, n), 0));

    await train(adapter);
    const trained = await score(model, ids);
    assert(trained.some((row, i) => row.some((nats, t) => Math.abs(nats - base[i][t]) > 1e-3)));
    if (!options.freeze) {
      for (const module of adapter.layers.keys()) {
        const w = model.weights.get(`${module}.weight`)!;
        using merged = layerWeight(gpu, adapter.layer(module)!, w);
        const { value, size } = await twin(adapter, module);
        expectClose(await gpu.read(merged), value, bound(w.shape[1], size, EPS), module);
      }
    }
    const folder = await Deno.makeTempDir();
    await saveModel(model, `${folder}/merged`);
    await saveAdapter(adapter, `${folder}/adapter`, { delta: true });
    {
      using merged = await loadModel(`${folder}/merged`, { gpu });
      const read = await score(merged, ids);
      read.forEach((row, i) => expectClose(row, trained[i], 1e-5, `row ${i}, merged`));
      using other = await load();
      using loaded = await loadAdapter(other, `${folder}/adapter`);
      assertEquals([loaded.config.method, loaded.trainable], [adapter.config.method, adapter.trainable]);
      assertEquals(await score(other, ids), trained);
      // What PEFT has a form for has no deltas beside it.
      using file = options.freeze
        ? undefined
        : await openSafetensors(`${folder}/adapter/kit_adapter.safetensors`);
      using plain = await openSafetensors(`${folder}/merged/model.safetensors`);
      for (const module of file ? adapter.layers.keys() : []) {
        const w = await gpu.read(model.weights.get(`${module}.weight`)!);
        const delta = toFloat32(await file!.read(`${module}.delta`));
        const sum = toFloat32(await plain.read(`${module}.weight`));
        expectClose(delta, sum.map((x, i) => x - w[i]), 0, `delta of ${module}`);
      }
    }
    await Deno.remove(folder, { recursive: true });
    adapter.detach();
    assertEquals(await score(model, ids), base);
  });
}

Deno.test("mora's change has a rank above r at the parameters of r", async () => {
  using model = await load();
  for (const type of [1, 6] as const) {
    using adapter = await attach(model, { method: "mora", type, rank: RANK, targets: ["q_proj"] });
    await train(adapter);
    for (const { singularValues } of await spectrum(adapter, { overlap: false })) {
      assert(singularValues[RANK] > 1e-3 * singularValues[0], `type ${type}: ${singularValues}`);
    }
  }
});

Deno.test("floraLayer() of a batch with an adapter in each text gives what each text gives alone", async () => {
  const gpu = await testDevice();
  const [texts, t, width, out, r] = [3, 5, 12, 8, 2];
  const rng = new Rng(5, "flora");
  const normals = (length: number) => Float32Array.from({ length }, () => rng.normal());
  const [x, w, a, b] = [texts * t * width, out * width, texts * r * out, texts * r * width].map(normals);
  using tape = new Tape(gpu, { gradients: false });
  const layer = (x: Float32Array, a: Float32Array, b: Float32Array, g: number) =>
    floraLayer(tape, {
      x: constant(gpu.upload(x, [g * t, width])),
      w: constant(gpu.upload(w, [out, width])),
      a: constant(gpu.upload(a, [g, r * out])),
      b: constant(gpu.upload(b, [g, r * width])),
    }).value;
  const together = await gpu.read(layer(x, a, b, texts));
  for (let i = 0; i < texts; i++) {
    const part = (values: Float32Array) => {
      const length = values.length / texts;
      return values.slice(i * length, (i + 1) * length);
    };
    const alone = await gpu.read(layer(part(x), part(a), part(b), 1));
    const size = alone.map((_, at) => {
      let sum = 0;
      for (let k = 0; k < r; k++) {
        for (let j = 0; j < width; j++) {
          const [row, column] = [Math.floor(at / out), at % out];
          sum += Math.abs(
            part(a)[k * out + column] * w[column * width + j] * part(b)[k * width + j] *
              part(x)[row * width + j],
          );
        }
      }
      return sum;
    });
    expectClose(part(together), alone, bound(width * r, size, EPS), `text ${i}`);
  }
});

for (const options of [{ rank: 2 }, { rank: 1, freeze: "B" }, { rank: 1, freeze: "A" }] as const) {
  Deno.test(`scoreEach() with another flora ${JSON.stringify(options)} in each row gives what each row gives alone`, async () => {
    using model = await load();
    const adapters: Adapter[] = [];
    const asked = { method: "flora", targets: "all-linear", ...options };
    for (const learningRate of [1e-2, 3e-2, 0.1]) {
      const adapter = await attach(model, asked);
      adapters.push(adapter);
      using training = trainer(adapter, { steps: 2, learningRate });
      await Array.fromAsync(training.run());
    }
    const rows = [ids[0].slice(0, 5), ids[0], ids[0].slice(0, 1)];
    const together = await scoreEach(adapters, rows);
    for (const [i, changes] of adapters.entries()) {
      const [alone] = await score(model, [rows[i]], { changes });
      expectClose(together[i], alone, 1e-5, `row ${i}`);
    }
    const [first, second] = adapters;
    assert(together[0].some((nats, at) => Math.abs(nats - together[1][at]) > 1e-3));
    const refused = async (adapters: Adapter[], message: string) =>
      await assertRejects(() => scoreEach(adapters, rows.slice(0, 2)), RangeError, message);
    await refused([first], "Cannot score 2 rows with 1 adapters: expected one for each");
    using wider = await attach(model, { method: "flora", rank: 3, targets: "all-linear" });
    await refused([second, wider], "Cannot score adapters of different layers or ranks: expected the same");
    using plain = await attach(model, { method: "lora" });
    await refused([first, plain], "Cannot score an adapter of method lora: expected adapters of method");
    for (const adapter of adapters) adapter[Symbol.dispose]();
  });
}

Deno.test("attach() and others refuse of layers without two factors what means nothing there", async () => {
  using model = await load();
  const refused: [AttachOptions, string][] = [
    [{ method: "mora", rank: 4, alpha: 8 }, "alpha 8: expected none for method mora, which has no scale"],
    [
      { method: "flora", rank: 1, dropout: 0.1 },
      "dropout 0.1: expected 0, as flora has no part that is added",
    ],
    [{ method: "remora", rank: 4, alpha: 8 }, "alpha 8: expected none for method remora"],
    [{ method: "flora", rank: 2, freeze: "A" }, 'freeze "A" and rank 2: expected rank 1, where it is IA³'],
    [
      { method: "flora", rank: 1, rankPattern: { v_proj: 3 }, freeze: "B" },
      'freeze "B" and rank 3: expected rank 1',
    ],
    [{ method: "mora", init: new Map() }, "Cannot attach mora with given factors: expected none"],
  ];
  for (const [options, message] of refused) {
    await assertRejects(() => attach(model, options), RangeError, message);
  }
  using adapter = await attach(model, { method: "mora", rank: 2 });
  await assertRejects(() => combine([adapter]), RangeError, "Cannot combine an adapter of method mora");
  const folder = await Deno.makeTempDir();
  await saveAdapter(adapter, folder);
  using other = await loadModel(modelFolder("llama_tied")!, { gpu: model.gpu });
  const config = JSON.parse(await Deno.readTextFile(`${folder}/kit_adapter.json`));
  await Deno.writeTextFile(`${folder}/kit_adapter.json`, JSON.stringify({ ...config, rank: 3, alpha: 3 }));
  await assertRejects(() => loadAdapter(other, folder), RangeError, "expected [");
  await Deno.writeTextFile(`${folder}/kit_adapter.json`, JSON.stringify({ format: "another" }));
  await assertRejects(() => loadAdapter(other, folder), SyntaxError, 'found format "another"');
  await Deno.remove(folder, { recursive: true });
});

Deno.test("addMethod() refuses a name that is taken", () => {
  assertThrows(
    () => addMethod(mora),
    RangeError,
    'Cannot add method "mora": expected a name that is none of olora',
  );
});
