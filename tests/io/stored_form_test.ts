import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { hostTensor, toFloat32 } from "../../lib/core/host_tensor.ts";
import { openModelTensors } from "../../lib/io/model_tensors.ts";
import { openSafetensors, writeSafetensors } from "../../lib/io/safetensors.ts";
import { asStored, fullName, withRowsOut } from "../../lib/io/stored_form.ts";
import { loadModel } from "../../lib/nn/model.ts";
import { score } from "../../lib/nn/score.ts";
import { testDevice } from "../helpers/device.ts";
import { expected, fixturePath } from "../helpers/fixtures.ts";

const C_FC = "transformer.h.3.mlp.c_fc.weight";

Deno.test("withRowsOut() transposes GPT-2's matrices alone, in every type, and asStored() takes it back", () => {
  for (const dtype of ["f32", "f16", "bf16"] as const) {
    const tensor = hostTensor([2, 3], [1, 2, 3, 4, 5, 6], dtype);
    const turned = withRowsOut(C_FC, tensor);
    assertEquals([turned.shape, [...toFloat32(turned)]], [[3, 2], [1, 4, 2, 5, 3, 6]]);
    assertEquals(asStored(C_FC, turned), tensor);
    for (const name of ["transformer.wte.weight", "model.decoder.layers.0.fc1.weight"]) {
      assertEquals(withRowsOut(name, tensor), tensor);
    }
  }
  const blocks = { dtype: "q8_0", shape: [1, 32], bytes: new Uint8Array(34) } as const;
  assertThrows(() => withRowsOut(C_FC, blocks), TypeError, "Cannot transpose q8_0");
});

Deno.test("fullName() supplies the prefix that files of the headless classes lack", () => {
  for (const name of ["wte.weight", "wpe.weight", "h.0.attn.c_attn.bias", "ln_f.weight"]) {
    assertEquals(fullName(name), `transformer.${name}`);
    assertEquals(fullName(`transformer.${name}`), `transformer.${name}`);
  }
  assertEquals(fullName("decoder.layers.0.fc1.bias"), "model.decoder.layers.0.fc1.bias");
  assertEquals(fullName("model.layers.0.mlp.up_proj.weight"), "model.layers.0.mlp.up_proj.weight");
});

/** A copy of a committed model, its tensors renamed and more added. */
async function copyOf(family: "opt" | "gpt2", prefix: string | RegExp, more: string[] = []): Promise<string> {
  const folder = await Deno.makeTempDir();
  await Deno.copyFile(fixturePath(`${family}/config.json`), `${folder}/config.json`);
  using file = await openSafetensors(fixturePath(`${family}/model.safetensors`));
  const tensors = new Map(more.map((name) => [name, hostTensor([1, 1], [0])]));
  for (const name of file.tensors.keys()) {
    tensors.set(name.replace(prefix, ""), await file.read(name));
  }
  await writeSafetensors(`${folder}/model.safetensors`, tensors);
  return folder;
}

const FORMS = [
  ["gpt2", /^transformer\./, ["h.0.attn.bias", "h.1.attn.masked_bias"]],
  ["gpt2", /^(?!)/, ["transformer.h.0.attn.bias", "lm_head.weight"]],
  ["opt", /^model\./, ["lm_head.weight"]],
] as const;
for (const [family, prefix, more] of FORMS) {
  Deno.test(`loadModel() reads ${family} without ${prefix} and with ${more.join(", ")}`, async () => {
    const gpu = await testDevice();
    const folder = await copyOf(family, prefix, [...more]);
    try {
      const { ids } = await expected(family);
      using model = await loadModel(fixturePath(family), { gpu });
      using other = await loadModel(folder, { gpu });
      assertEquals(await score(other, ids), await score(model, ids));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

Deno.test("openModelTensors() gives GPT-2's matrices as [out, in], and loadModel() names one that is missing", async () => {
  using tensors = await openModelTensors(fixturePath("gpt2"));
  const name = "transformer.h.0.attn.c_attn.weight";
  assertEquals([tensors.tensors.get(name)!.shape, (await tensors.read(name)).shape], [[84, 28], [84, 28]]);
  const folder = await copyOf("gpt2", "transformer.h.1.ln_2.");
  const gpu = await testDevice();
  await assertRejects(
    () => loadModel(folder, { gpu }),
    RangeError,
    `transformer.h.1.ln_2.weight in ${folder}/model.safetensors: found nothing, expected [28]`,
  );
  await Deno.remove(folder, { recursive: true });
});
