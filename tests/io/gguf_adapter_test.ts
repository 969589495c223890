import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { fileURLToPath } from "node:url";
import { attach } from "../../lib/adapters/attach.ts";
import { joined, moved, toPlainLora } from "../../lib/adapters/convert.ts";
import { saveAdapter } from "../../lib/adapters/save.ts";
import { type HostTensor, hostTensor, toFloat32 } from "../../lib/core/host_tensor.ts";
import { batches } from "../../lib/datasets/batches.ts";
import { parseDataset } from "../../lib/datasets/load.ts";
import { readGgufAdapter, writeGgufAdapter } from "../../lib/io/gguf_adapter.ts";
import { openGguf } from "../../lib/io/gguf.ts";
import { openGgufModel } from "../../lib/io/gguf_model.ts";
import { encodeGguf, type GgufField, writeGguf } from "../../lib/io/gguf_write.ts";
import { readModelConfig } from "../../lib/io/model_config.ts";
import { readPeftAdapter, writePeftAdapter } from "../../lib/io/peft.ts";
import { moduleScale, type PeftAdapter, type PeftFactors } from "../../lib/io/peft_format.ts";
import { loadModel } from "../../lib/nn/model.ts";
import { Trainer } from "../../lib/train/train.ts";
import { EPS, expectClose } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import { batches as fixtureBatches, fixturePath } from "../helpers/fixtures.ts";
import { inGguf } from "../helpers/gguf.ts";
import { ggufTensors, metadataOf } from "../helpers/gguf_model.ts";
import { encodeGguf as encodeBase } from "../helpers/gguf.ts";
import { requires } from "../helpers/requires.ts";
import { inFolder } from "../helpers/folder.ts";

/** A trained olora on llama_untied as PEFT's form: what it is now and where it started. */
async function trained(folder: string): Promise<{ adapter: PeftAdapter; start: PeftAdapter["factors"] }> {
  const gpu = await testDevice();
  using model = await loadModel(fixturePath("llama_untied"), { gpu });
  using adapter = await attach(model, {
    method: "olora",
    rank: 3,
    alpha: 2,
    targets: "all-linear",
    rankPattern: { v_proj: 2 },
  });
  const data = parseDataset(JSON.stringify({ batches: await fixtureBatches("llama_untied") }), "b.json");
  using trainer = new Trainer(adapter, batches(data, { batchSize: 1, seqLen: 1, seed: 0 }), {
    steps: 3,
    learningRate: 1e-3,
  });
  await Array.fromAsync(trainer.run());
  await saveAdapter(adapter, folder);
  return {
    adapter: await readPeftAdapter(folder),
    start: (await readPeftAdapter(`${folder}/start`)).factors,
  };
}

function product(scale: number, { a, b }: PeftFactors): Float64Array {
  const [A, B, r, width] = [toFloat32(a), toFloat32(b), ...a.shape];
  return Float64Array.from({ length: b.shape[0] * width }, (_, at) => {
    let sum = 0;
    for (let k = 0; k < r; k++) sum += B[Math.floor(at / width) * r + k] * A[k * width + at % width];
    return scale * sum;
  });
}

const KIND = new Map<string, GgufField>([
  ["general.architecture", ["string", "llama"]],
  ["general.type", ["string", "adapter"]],
  ["adapter.type", ["string", "lora"]],
]);

const length = (x: Float64Array) => Math.hypot(...x);

Deno.test("toPlainLora() with moved loses to f16 a part of the change, with joined a part of the start", () =>
  inFolder(async (folder) => {
    const { adapter, start } = await trained(folder);
    const half = ({ a, b }: PeftFactors) => ({
      a: hostTensor(a.shape, toFloat32(a), "f16"),
      b: hostTensor(b.shape, toFloat32(b), "f16"),
    });
    const errors = [joined, moved].map((form) => {
      const { factors } = toPlainLora(adapter, start, form);
      return Math.max(
        ...[...adapter.factors].map(([module, now]) => {
          const exact = product(1, now).map((x, i) => x - product(1, start.get(module)!)[i]);
          const stored = product(1, half(factors.get(module)!));
          return length(stored.map((x, i) => x - exact[i])) / length(exact);
        }),
      );
    });
    assert(errors[1] < 2 ** -10, `${errors}`);
    assert(errors[0] > 10 * errors[1], `${errors}`);
  }));

Deno.test("writeGgufAdapter() changes a GGUF base by s dW with its rows where the base has them", () =>
  inFolder(async (folder) => {
    const { adapter, start } = await trained(folder);
    const plain = toPlainLora(adapter, start, moved);
    const config = await readModelConfig(fixturePath("llama_untied"));
    await writeGgufAdapter(`${folder}/adapter.gguf`, plain, config);
    using file = await openGguf(`${folder}/adapter.gguf`);
    assertEquals(file.metadata.get("general.architecture"), "llama");
    assertEquals(file.metadata.get("general.type"), "adapter");
    assertEquals(file.metadata.get("adapter.type"), "lora");
    const alpha = file.metadata.get("adapter.lora.alpha") as number;
    assertEquals(file.tensors.size, 2 * adapter.factors.size);
    // What llama.cpp adds, put in place of the base's weights and read as a model is: rows come back in their places.
    const changes = await ggufTensors("llama_untied", (tensor) => tensor);
    for (const name of Object.keys(changes)) {
      if (!file.tensors.has(`${name}.lora_a`)) continue;
      const [a, b] = [await file.read(`${name}.lora_a`), await file.read(`${name}.lora_b`)];
      const change = product(alpha / b.shape[1], { a, b });
      changes[name] = hostTensor([b.shape[0], a.shape[1]], Float32Array.from(change));
    }
    await inGguf(encodeBase(metadataOf(config), changes), async (path) => {
      using changed = await openGgufModel(path);
      for (const [module, factors] of plain.factors) {
        const found = toFloat32(await changed.read(`${module}.weight`));
        const expected = product(moduleScale(plain.config, module), factors);
        const size = Math.max(...expected.map(Math.abs));
        expectClose(found, expected, 4 * EPS * size, module);
      }
    });
  }));

for (const dtype of ["f32", "f16"] as const) {
  Deno.test(`readGgufAdapter() gives back what writeGgufAdapter() wrote in ${dtype}, and its scales`, () =>
    inFolder(async (folder) => {
      const { adapter, start } = await trained(folder);
      const plain = toPlainLora(adapter, start, moved);
      const config = await readModelConfig(fixturePath("llama_untied"));
      await writeGgufAdapter(`${folder}/adapter.gguf`, plain, config, dtype);
      const back = await readGgufAdapter(`${folder}/adapter.gguf`, config);
      assertEquals(new Set(back.factors.keys()), new Set(plain.factors.keys()));
      for (const [module, { a, b }] of plain.factors) {
        const found = back.factors.get(module)!;
        const stored = ({ shape }: HostTensor, values: HostTensor) =>
          toFloat32(hostTensor(shape, toFloat32(values), dtype));
        assertEquals([toFloat32(found.a), toFloat32(found.b)], [stored(a, a), stored(b, b)], module);
        assertEquals(moduleScale(back.config, module), moduleScale(plain.config, module), module);
      }
      await writePeftAdapter(`${folder}/back`, back);
      assertEquals((await readPeftAdapter(`${folder}/back`)).factors, back.factors);
    }));
}

Deno.test("readGgufAdapter() takes scale 1 where the file has no alpha, as llama.cpp does", () =>
  inFolder(async (folder) => {
    const config = await readModelConfig(fixturePath("llama_untied"));
    const path = `${folder}/adapter.gguf`;
    const ones = (shape: number[]) => hostTensor(shape, new Float32Array(shape[0] * shape[1]).fill(1));
    const { width, heads, headWidth } = config;
    const pair = (name: string, rank: number): [string, HostTensor][] => [
      [`${name}.lora_a`, ones([rank, width])],
      [`${name}.lora_b`, ones([heads * headWidth, rank])],
    ];
    const tensors = new Map([...pair("blk.0.attn_q.weight", 2), ...pair("blk.1.attn_q.weight", 3)]);
    await writeGguf(path, KIND, tensors);
    const { config: settings, factors } = await readGgufAdapter(path, config);
    const modules = [0, 1].map((layer) => `model.layers.${layer}.self_attn.q_proj`);
    assertEquals([...factors.keys()], modules);
    assertEquals(modules.map((module) => moduleScale(settings, module)), [1, 1]);
  }));

Deno.test("readGgufAdapter() refuses by name what is no adapter of the base's linear layers", () =>
  inFolder(async (folder) => {
    const config = await readModelConfig(fixturePath("llama_untied"));
    const path = `${folder}/adapter.gguf`;
    const refused = async (
      metadata: typeof KIND,
      tensors: [string, number[]][],
      type: typeof RangeError | typeof SyntaxError,
      message: string,
    ) => {
      const made = tensors.map(([name, [rows, columns]]): [string, HostTensor] => [
        name,
        hostTensor([rows, columns], new Float32Array(rows * columns)),
      ]);
      await writeGguf(path, metadata, new Map(made));
      await assertRejects(() => readGgufAdapter(path, config), type, message);
    };
    const { width } = config;
    const v = "blk.0.attn_v.weight";
    const model = new Map(KIND).set("general.type", ["string", "model"]);
    await refused(model, [], RangeError, 'found general.type "model", expected "adapter"');
    const qwen = new Map(KIND).set("general.architecture", ["string", "qwen2"]);
    await refused(qwen, [], RangeError, 'found general.architecture "qwen2", expected "llama"');
    const head = "output.weight.lora_a";
    await refused(KIND, [[head, [2, width]]], RangeError, `found ${head}, expected factors of linear layers`);
    const a: [string, number[]] = [`${v}.lora_a`, [2, width]];
    await refused(KIND, [a], SyntaxError, `found ${v}.lora_b of shape [], expected [`);
    const b: [string, number[]] = [`${v}.lora_b`, [1, 2]];
    await refused(KIND, [a, b], SyntaxError, `found ${v}.lora_b of shape [1, 2], expected [`);
    await refused(
      KIND,
      [[a[0], [2, 1]], b],
      SyntaxError,
      `found ${a[0]} of shape [2, 1], expected [r, ${width}]`,
    );
  }));

Deno.test("writeGgufAdapter() refuses a family that llama.cpp lacks, and encodeGguf() what it cannot write", () =>
  inFolder(async (folder) => {
    const { adapter } = await trained(folder);
    const opt = await readModelConfig(fixturePath("opt"));
    await assertRejects(
      () => writeGgufAdapter(`${folder}/x.gguf`, adapter, opt),
      RangeError,
      "Cannot write opt in GGUF: found no architecture for it, expected one of llama",
    );
    const llama = await readModelConfig(fixturePath("llama_untied"));
    await assertRejects(
      () =>
        writeGgufAdapter(
          `${folder}/x.gguf`,
          { ...adapter, config: { ...adapter.config, dora: true } },
          llama,
        ),
      RangeError,
      "Cannot make plain LoRA of an adapter with magnitudes (use_dora): expected it to be merged",
    );
    const weights = new Map([["model.norm.weight", hostTensor([1], [1])]]);
    await assertRejects(
      () => writeGgufAdapter(`${folder}/x.gguf`, { ...adapter, weights }, llama),
      RangeError,
      "found weights of its own, model.norm.weight, expected low-rank factors alone",
    );
    const bytes = new Uint8Array(4);
    const write = (tensor: HostTensor) => () => encodeGguf(new Map(), new Map([["x", tensor]]));
    assertThrows(write({ dtype: "u32", shape: [1], bytes }), TypeError, "tensor x: found u32, expected f32");
    assertThrows(write({ dtype: "f32", shape: [2], bytes }), RangeError, "found 4 bytes, expected 8");
    await assertRejects(() => Deno.stat(`${folder}/x.gguf`), Deno.errors.NotFound);
  }));

const python = requires("python");
for (const dtype of ["f32", "f16"] as const) {
  Deno.test({
    name: `writeGgufAdapter() in ${dtype} is read by gguf of PyPI bit for bit`,
    ignore: python.ignore,
    fn: () =>
      inFolder(async (folder) => {
        const { adapter, start } = await trained(folder);
        const path = `${folder}/adapter.gguf`;
        const plain = toPlainLora(adapter, start, moved);
        await writeGgufAdapter(path, plain, await readModelConfig(fixturePath("llama_untied")), dtype);
        const { success, stdout, stderr } = await new Deno.Command(python.path, {
          args: [fileURLToPath(new URL("./read_gguf.py", import.meta.url)), path],
        }).output();
        if (!success) throw new Error(new TextDecoder().decode(stderr));
        const { fields, tensors } = JSON.parse(new TextDecoder().decode(stdout));
        assertEquals(fields, {
          "general.architecture": "llama",
          "general.type": "adapter",
          "adapter.type": "lora",
          "adapter.lora.alpha": 4,
          "general.file_type": dtype === "f32" ? 0 : 1,
        });
        using file = await openGguf(path);
        assertEquals(Object.keys(tensors).sort(), [...file.tensors.keys()].sort());
        for (
          const [name, found] of Object.entries<{ dtype: string; shape: number[]; bytes: string }>(tensors)
        ) {
          const ours = await file.read(name);
          assertEquals([found.dtype.toLowerCase(), found.shape], [ours.dtype, [...ours.shape]], name);
          assertEquals(found.bytes, ours.bytes.toHex(), name);
        }
        const v = plain.factors.get("model.layers.1.self_attn.v_proj")!.a;
        const stored = hostTensor(v.shape, toFloat32(v), dtype);
        assertEquals(tensors["blk.1.attn_v.weight.lora_a"].bytes, stored.bytes.toHex());
      }),
  });
}

Deno.test("writeGguf() leaves no file behind where a tensor cannot be written", () =>
  inFolder(async (folder) => {
    const tensor: HostTensor = { dtype: "q4_1", shape: [32], bytes: new Uint8Array(20) };
    await assertRejects(() => writeGguf(`${folder}/x.gguf`, new Map(), new Map([["x", tensor]])), TypeError);
    assertEquals([...Deno.readDirSync(folder)], []);
  }));
