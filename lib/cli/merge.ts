import { loadAdapter } from "../adapters/save.ts";
import { saveModel } from "../adapters/save_model.ts";
import { loadModel } from "../nn/model.ts";
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
      help: "f32, f16, bf16, or stored: as the model's matrices are (default; not for a quantised one)",
    },
  },

  async run(args, output) {
    const [name, folder, out] = ["model", "adapter", "out"].map((option) => args.required(option));
    const dtype = DTYPES.find((known) => known === (args.text("dtype") ?? "stored"));
    if (!dtype) {
      throw new RangeError(`Cannot merge as ${args.text("dtype")}: expected one of ${DTYPES.join(", ")}`);
    }
    await checkInputs(name, folder);
    using gpu = await openGpu(output);
    using model = await loadModel(name, { gpu });
    using adapter = await loadAdapter(model, folder);
    const { dtype: rounded, lost } = await saveModel(model, out, dtype);
    const layers = adapter.branches.size + adapter.layers.size;
    output.say(`Merged ${layers} layers in ${rounded}; wrote ${out}`);
    if (lost.length) {
      output.say(
        `Rounding to ${rounded} took the whole change away in ${lost.length} of them: ${lost.join(", ")}`,
      );
    }
    return { device: gpu.info.name, software: gpu.info.isSoftware, out, dtype: rounded, layers, lost };
  },
};
