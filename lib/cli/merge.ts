import { loadAdapter } from "../adapters/save.ts";
import { blockDType, saveModel } from "../adapters/save_model.ts";
import { loadModel } from "../nn/model.ts";
import { checkAdapter } from "./adapter_folder.ts";
import { checkInputs, type Command, MODEL_HELP, openGpu } from "./command.ts";

const DTYPES = ["stored", "f32", "f16", "bf16"] as const;

/** `olora merge`: a plain model folder of what a model and its adapter compute together. */
export const merge: Command = {
  summary: "a plain model folder of a model with its adapter",
  usage: "--model M --adapter DIR --out DIR [--dtype D]",
  options: {
    model: { type: "text", value: "M", help: MODEL_HELP },
    adapter: { type: "text", value: "DIR", help: "adapter folder, the kit's or PEFT's" },
    out: { type: "text", value: "DIR", help: "folder for the model" },
    dtype: {
      type: "text",
      value: "D",
      help: "f32, f16, bf16, or stored: each as the model has it (default; f32 of a quantised one)",
    },
  },

  async run(args, output) {
    const [name, folder, out] = ["model", "adapter", "out"].map((option) => args.required(option));
    const asked = args.text("dtype");
    const chosen = DTYPES.find((known) => known === (asked ?? "stored"));
    if (!chosen) throw new RangeError(`Cannot merge as ${asked}: expected one of ${DTYPES.join(", ")}`);
    const read = await checkAdapter(folder, output);
    await checkInputs(name);
    using gpu = await openGpu(output);
    using model = await loadModel(name, { gpu });
    using adapter = await loadAdapter(model, folder);
    const blocks = asked === undefined ? blockDType(model.weights) : undefined;
    if (blocks) {
      output.note(`${name} is quantised (${blocks}): its weights are widened to f32; --dtype says otherwise`);
    }
    const { dtype: rounded, lost } = await saveModel(model, out, blocks ? "f32" : chosen);
    const layers = adapter.branches.size + adapter.layers.size;
    output.say(`Merged ${layers} layers in ${rounded}; wrote ${out}`);
    if (lost.length) {
      output.say(
        `Rounding to ${rounded} took the whole change away in ${lost.length} of them: ${lost.join(", ")}`,
      );
    }
    return {
      device: gpu.info.name,
      software: gpu.info.isSoftware,
      out,
      dtype: rounded,
      layers,
      lost,
      ...read,
    };
  },
};
