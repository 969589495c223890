import { assert, assertEquals } from "@std/assert";
import { decoder, decoderBackward, lastLogits, type Weights } from "../../lib/reference/decoder.ts";
import { assertGradients, normals as standardNormals } from "./central_difference.ts";

const config = { v: 7, d: 4, layers: 2, h: 2, hk: 1, c: 2, hidden: 5, eps: 0.5, ropeBase: 100 };
/** Small enough for a smooth loss: a sharp softmax bends within the step of the difference. */
const normals = (n: number, seed: number) => standardNormals(n, seed).map((x) => x / 2);
const batch = { b: 2, t: 3, ids: Int32Array.of(1, 5, 2, 6, 6, 0) };

function makeWeights(tied: boolean): Weights {
  const shapes: Record<string, number> = { "model.embed_tokens.weight": 28, "model.norm.weight": 4 };
  if (!tied) shapes["lm_head.weight"] = 28;
  for (const layer of [0, 1]) {
    const sizes = { q_proj: 16, k_proj: 8, v_proj: 8, o_proj: 16 };
    for (const [name, size] of Object.entries(sizes)) {
      shapes[`model.layers.${layer}.self_attn.${name}.weight`] = size;
    }
    for (const name of ["gate_proj", "up_proj", "down_proj"]) {
      shapes[`model.layers.${layer}.mlp.${name}.weight`] = 20;
    }
    for (const name of ["input", "post_attention"]) {
      shapes[`model.layers.${layer}.${name}_layernorm.weight`] = 4;
    }
  }
  return Object.fromEntries(Object.entries(shapes).map(([name, size], i) => [name, normals(size, i)]));
}

const makeAdapter = (n: number, m: number, seed: number) => ({
  rank: 2,
  scale: 0.5,
  a: normals(2 * n, seed),
  b: normals(2 * m, seed + 1),
  a0: normals(2 * n, seed + 2),
  b0: normals(2 * m, seed + 3),
});
const makeAdapters = () => ({
  "model.layers.0.self_attn.q_proj": makeAdapter(4, 4, 50),
  "model.layers.0.mlp.down_proj": makeAdapter(5, 4, 60),
  "model.layers.1.self_attn.v_proj": makeAdapter(4, 2, 70),
});

for (const tied of [true, false]) {
  Deno.test(`decoderBackward() agrees with central differences, ${tied ? "tied" : "untied"} head`, () => {
    const weights = makeWeights(tied);
    const adapters = makeAdapters();
    const gradients = decoderBackward(
      weights,
      config,
      batch,
      decoder(weights, config, batch, adapters),
      adapters,
    );
    const inputs = { ...weights };
    for (const [name, { a, b }] of Object.entries(adapters)) {
      Object.assign(inputs, { [`${name}.lora_A`]: a, [`${name}.lora_B`]: b });
    }
    assertEquals(Object.keys(gradients).sort(), Object.keys(inputs).sort());
    assertGradients(() => decoder(weights, config, batch, adapters).loss, inputs, gradients);
  });
}

Deno.test("decoder() predicts each text's next token and nothing after its last", () => {
  const weights = makeWeights(true);
  const { nll, count, loss } = decoder(weights, config, batch);
  assertEquals([count, nll[2], nll[5]], [4, 0, 0]);
  assert(Math.abs(loss - (nll[0] + nll[1] + nll[3] + nll[4]) / 4) < 1e-15);
  const alone = decoder(weights, config, { b: 1, t: 3, ids: batch.ids.subarray(3) });
  assertEquals(alone.nll, nll.subarray(3));
});

Deno.test("lastLogits() are the logits behind decoder()'s nats", () => {
  const weights = makeWeights(false);
  const logits = lastLogits(weights, config, { b: 1, t: 2, ids: Int32Array.of(1, 5) });
  const { nll } = decoder(weights, config, { b: 1, t: 3, ids: Int32Array.of(1, 5, 2) });
  const denominator = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
  assert(Math.abs(denominator - logits[2] - nll[1]) < 1e-13);
});
