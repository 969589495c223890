import { assertEquals } from "@std/assert";
import { parseModelConfig } from "../../lib/io/model_config.ts";
import { isSelected, isTarget, type PeftTargets, targetNames } from "../../lib/io/peft_targets.ts";
import { linearModules } from "../../lib/io/weights.ts";

const MODEL = parseModelConfig({
  model_type: "llama",
  hidden_size: 8,
  intermediate_size: 12,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  num_hidden_layers: 2,
  vocab_size: 16,
}, "config.json");

Deno.test("isTarget() takes whole last parts of a path, a full regular expression, or all-linear", () => {
  const q = "model.layers.1.self_attn.q_proj";
  assertEquals(isTarget(["q_proj"], q), true);
  assertEquals(isTarget(["proj"], q), false);
  assertEquals(isTarget(["self_attn.q_proj"], q), true);
  assertEquals(isTarget(".*q_proj", q), true);
  assertEquals(isTarget("q_proj", q), false);
  assertEquals(isTarget("all-linear", q), true);
});

const LAYERS = { targetModules: ["q_proj", "model.layers.0.mlp.up_proj"], layers: [1] };
const SELECTED: [PeftTargets, string, boolean][] = [
  [{ targetModules: "all-linear", excludeModules: ["mlp.up_proj"] }, "model.layers.0.mlp.up_proj", false],
  [{ targetModules: ["up_proj"], excludeModules: ".*\\.0\\..*" }, "model.layers.0.mlp.up_proj", false],
  [{ targetModules: ["up_proj"], excludeModules: ".*\\.0\\..*" }, "model.layers.1.mlp.up_proj", true],
  [LAYERS, "model.layers.0.self_attn.q_proj", false],
  [LAYERS, "model.layers.1.self_attn.q_proj", true],
  [LAYERS, "model.layers.11.self_attn.q_proj", false],
  [LAYERS, "model.layers.0.mlp.up_proj", true],
  [{ ...LAYERS, layersPattern: ["blocks", "layers"] }, "model.layers.1.self_attn.q_proj", true],
  [{ ...LAYERS, layersPattern: ["blocks"] }, "model.layers.1.self_attn.q_proj", false],
];
for (const [targets, path, expected] of SELECTED) {
  Deno.test(`isSelected() says ${expected} of ${path} for ${JSON.stringify(targets)}`, () => {
    assertEquals(isSelected(targets, path), expected);
  });
}

Deno.test("targetNames() gives last parts where they name no other module, else whole paths", () => {
  const all = [...linearModules(MODEL).keys()];
  const q = all.filter((path) => path.endsWith("q_proj"));
  assertEquals(targetNames(q, all), ["q_proj"]);
  assertEquals(targetNames(q.slice(1), all), q.slice(1));
});
