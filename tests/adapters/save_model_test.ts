import { assert, assertEquals, assertRejects } from "@std/assert";
import { attach } from "../../lib/adapters/attach.ts";
import { findMethod } from "../../lib/adapters/methods.ts";
import { saveModel } from "../../lib/adapters/save_model.ts";
import type { Variable } from "../../lib/autograd/tape.ts";
import { type HostTensor, hostTensor, toFloat32 } from "../../lib/core/host_tensor.ts";
import { readModelConfig } from "../../lib/io/model_config.ts";
import { openModelTensors } from "../../lib/io/model_tensors.ts";
import { openSafetensors, writeSafetensors } from "../../lib/io/safetensors.ts";
import { loadModel, type Model } from "../../lib/nn/model.ts";
import { score } from "../../lib/nn/score.ts";
import { effectiveWeight } from "../../lib/ops/effective_weight.ts";
import { rowNorms } from "../../lib/reference/magnitude.ts";
import { bound, EPS, expectClose, furthest } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import { modelFolder } from "../helpers/fixtures.ts";
import { encodeGguf, inGguf } from "../helpers/gguf.ts";
import { blocksAndWide, ggufTensors, metadataOf } from "../helpers/gguf_model.ts";
import { inFolder } from "../helpers/folder.ts";
import { ids, load, trainer, trainingBatches } from "./llama_untied.ts";

const Q = "model.layers.0.self_attn.q_proj";

/** An olora whose B has moved by 0.05 from B₀, on all linear layers, but by `step` on Q. */
async function moved(model: Model, step = 0.05) {
  const adapter = await attach(model, { method: "olora", rank: 2, targets: "all-linear" });
  for (const [module, { b, start }] of adapter.branches) {
    const values = await model.gpu.read(start!.b);
    model.gpu.write(b.value, values.map((x) => x + (module === Q ? step : 0.05)));
  }
  return adapter;
}

const METHODS = ["lora+", "rslora", "lora-fa", "orthogonal", "pissa", "milora", "mica", "lora-ga", "eva"];
for (const method of METHODS) {
  Deno.test(`saveModel() merges ${method}, trained two steps, to what it computes beside the base`, () =>
    inFolder(async (folder) => {
      using model = await load();
      const base = await score(model, ids);
      using adapter = await attach(model, {
        ...{ method, rank: 4, alpha: 3, targets: "all-linear" },
        ...(findMethod(method).batches && { batches: [...trainingBatches().take(2)] }),
      });
      using training = trainer(adapter, { steps: 2 });
      await Array.fromAsync(training.run());
      const trained = await score(model, ids);
      assert(furthest(trained, base) > 1e-3);
      await saveModel(model, folder);
      using merged = await loadModel(folder, { gpu: model.gpu });
      (await score(merged, ids)).forEach((row, i) => expectClose(row, trained[i], 1e-5, `row ${i}`));
    }));
}

const HALF_EPS = { f16: 2 ** -11, bf16: 2 ** -8 };
for (const dtype of ["f16", "bf16"] as const) {
  Deno.test(`saveModel() merges W + dW rounded once to ${dtype}, and says nothing is lost where dW shows`, () =>
    inFolder(async (folder) => {
      const gpu = await testDevice();
      using model = await loadModel(modelFolder("llama_untied")!, { gpu });
      using adapter = await moved(model);
      assertEquals(await saveModel(model, folder, dtype), { dtype, lost: [] });
      using file = await openSafetensors(`${folder}/model.safetensors`);
      const branch = adapter.branch(Q)!;
      using exact = effectiveWeight(gpu, model.weights.get(`${Q}.weight`)!, {
        scale: branch.scale,
        trained: { a: branch.a.value, b: branch.b.value },
        start: branch.start!,
      });
      const values = await gpu.read(exact);
      const bounds = values.map((x) => HALF_EPS[dtype] * Math.abs(x) + 2 ** -25);
      expectClose(toFloat32(await file.read(`${Q}.weight`)), values, bounds, Q);
      using merged = await loadModel(folder, { gpu });
      const attached = await score(model, ids);
      // Its weights are large: the nats of this model move by up to 22 times what they are rounded by.
      (await score(merged, ids)).forEach((row, i) =>
        expectClose(row, attached[i], 32 * HALF_EPS[dtype], `row ${i}`)
      );
    }));
}

Deno.test("saveModel() names the layers whose whole change the rounding takes away, and no others", () =>
  inFolder(async (folder) => {
    const gpu = await testDevice();
    using model = await loadModel(modelFolder("llama_untied")!, { gpu });
    using _adapter = await moved(model, 1e-8);
    assertEquals((await saveModel(model, folder, "bf16")).lost, [Q]);
    assertEquals((await saveModel(model, folder, "f32")).lost, []);
    using _fresh = await attach(model, { method: "olora", rank: 2 });
    assertEquals((await saveModel(model, folder, "bf16")).lost, []);
  }));

Deno.test("saveModel() merges rows of the magnitude's lengths, and loses a layer only where the lengths are lost too", () =>
  inFolder(async (folder) => {
    const gpu = await testDevice();
    using model = await loadModel(modelFolder("llama_untied")!, { gpu });
    using adapter = await attach(model, { method: "olora", magnitude: true, rank: 2, targets: "all-linear" });
    const shift = async (parameter: Variable, by: number) =>
      gpu.write(parameter.value, (await gpu.read(parameter.value)).map((x) => x + by));
    assertEquals((await saveModel(model, folder, "bf16")).lost, []);
    const { magnitude } = adapter.branches.get(Q)!;
    await shift(magnitude!, 1e-5);
    assertEquals((await saveModel(model, folder, "bf16")).lost, [Q]);
    for (const { b, magnitude } of adapter.branches.values()) {
      await shift(b, 0.05);
      await shift(magnitude!, 0.1);
    }
    assertEquals(await saveModel(model, folder), { dtype: "f32", lost: [] });
    const attached = await score(model, ids);
    using merged = await loadModel(folder, { gpu });
    const weight = await gpu.read(merged.weights.get(`${Q}.weight`)!);
    const [out, width] = merged.weights.get(`${Q}.weight`)!.shape;
    const lengths = rowNorms(Float64Array.from(weight), { d: out, k: width });
    expectClose(await gpu.read(magnitude!.value), lengths, bound(width, lengths, 8 * EPS), "lengths");
    // The layer scales its output where the merge scales its weight: up to 3 roundings apart, 22 times that in nats.
    (await score(merged, ids)).forEach((row, i) => expectClose(row, attached[i], 100 * EPS, `row ${i}`));
  }));

const { blocks } = await blocksAndWide();
for (const dtype of ["f32", "bf16"] as const) {
  Deno.test(`saveModel() merges a base in blocks to ${dtype}, by choice`, () =>
    inFolder((folder) =>
      inGguf(blocks, async (path) => {
        const gpu = await testDevice();
        using model = await loadModel(path, { gpu });
        using _adapter = await moved(model);
        await assertRejects(
          () => saveModel(model, folder, "stored"),
          RangeError,
          "the base is quantised, expected one of f32, f16 and bf16 to be chosen",
        );
        assertEquals([...Deno.readDirSync(folder)], []);
        assertEquals(await saveModel(model, folder, dtype), { dtype, lost: [] });
        const attached = await score(model, ids);
        using merged = await loadModel(folder, { gpu });
        // In f32 nothing is rounded a second time; in bf16 the nats of this model move by up to twice the rounding.
        const limit = dtype === "f32" ? 0 : 4 * HALF_EPS.bf16;
        (await score(merged, ids)).forEach((row, i) => expectClose(row, attached[i], limit, `row ${i}`));
      })
    ));
}

const NORM = "model.norm.weight";

Deno.test("saveModel() keeps the stored type of each tensor, and the bits of those that nothing changed", () =>
  inFolder(async (folder) => {
    using original = await openModelTensors(modelFolder("llama_untied")!);
    const config = await Deno.readTextFile(`${modelFolder("llama_untied")}/config.json`);
    await Deno.mkdir(`${folder}/mixed`);
    await Deno.writeTextFile(`${folder}/mixed/config.json`, config);
    const tensors = new Map<string, HostTensor>();
    for (const name of original.tensors.keys()) {
      const values = toFloat32(await original.read(name));
      const dtype = name === "lm_head.weight" || name === NORM ? "f32" : "bf16";
      tensors.set(name, hostTensor(original.tensors.get(name)!.shape, values, dtype));
    }
    await writeSafetensors(`${folder}/mixed/model.safetensors`, tensors);
    const gpu = await testDevice();
    using model = await loadModel(`${folder}/mixed`, { gpu });
    using _adapter = await attach(model, { method: "olora", rank: 2, targets: ["q_proj"] });
    assertEquals(await saveModel(model, `${folder}/out`, "stored"), { dtype: "bf16", lost: [] });
    using file = await openSafetensors(`${folder}/out/model.safetensors`);
    for (const [name, tensor] of tensors) assertEquals(await file.read(name), tensor, name);
  }));

Deno.test("saveModel() keeps the norms of a GGUF file of F16 in f32", async () => {
  const half = (tensor: HostTensor) =>
    tensor.shape.length === 2 ? hostTensor(tensor.shape, toFloat32(tensor), "f16") : tensor;
  const metadata = metadataOf(await readModelConfig(modelFolder("llama_tied")!));
  await inFolder(async (folder) =>
    inGguf(encodeGguf(metadata, await ggufTensors("llama_tied", half)), async (path) => {
      using stored = await openModelTensors(path);
      using model = await loadModel(path, { gpu: await testDevice() });
      await saveModel(model, folder, "stored");
      using file = await openSafetensors(`${folder}/model.safetensors`);
      for (const name of stored.tensors.keys()) {
        assertEquals(await file.read(name), await stored.read(name), name);
      }
      assertEquals(file.tensors.get(NORM)!.dtype, "F32");
    })
  );
});

Deno.test("saveModel() refuses a weight that the chosen type cannot hold, by name", () =>
  inFolder(async (folder) => {
    const gpu = await testDevice();
    using model = await loadModel(modelFolder("llama_untied")!, { gpu });
    using adapter = await attach(model, { method: "lora", rank: 2, targets: ["q_proj"] });
    const { a, b } = adapter.branches.get(Q)!;
    gpu.write(a.value, new Float32Array(a.value.size).fill(1));
    gpu.write(b.value, new Float32Array(b.value.size).fill(4e4));
    const { message } = await assertRejects(
      () => saveModel(model, `${folder}/out`, "f16"),
      RangeError,
      `Cannot write ${Q}.weight in f16: found `,
    );
    assertEquals(message.endsWith("expected |w| <= 65504, or f32"), true);
    await assertRejects(() => Deno.stat(`${folder}/out/model.safetensors`), Deno.errors.NotFound);
    assertEquals((await saveModel(model, `${folder}/out`, "bf16")).lost, []);
  }));
