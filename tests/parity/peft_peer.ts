import { fileURLToPath } from "node:url";

/** An adapter for PEFT to make, on the model in `base`. */
export interface PeftMade {
  name: string;
  base: string;
  /** Where it is saved. */
  out: string;
  /**
   * Fields of PEFT's LoraConfig; with `init_r` of its AdaLoraConfig, whose budget is cut after each step; with
   * `feedforward_modules` of its IA3Config.
   */
  config: Record<string, unknown>;
  /** Steps of AdamW at 1e-2. */
  steps?: number;
  /** Saved by PEFT's own conversion to plain LoRA. */
  converted?: boolean;
  /** Saved before training too, in `start/` beside it. */
  start?: boolean;
  /** What its factors are rounded to before they are saved. */
  dtype?: "float16" | "bfloat16";
}

/** An adapter for PEFT to load, or a model alone for transformers. */
export interface PeftRead {
  name: string;
  base: string;
  adapter?: string;
}

/** Adapters for PEFT's add_weighted_adapter. */
export interface PeftMixed {
  name: string;
  base: string;
  adapters: string[];
  weights: number[];
  /** Its combination_type. */
  type: "cat" | "svd" | "linear";
  /** Its svd_rank. */
  rank?: number;
}

/** Nats of each token by the name of the case. */
export type Nats = Record<string, number[][]>;

/** What PEFT makes of the adapters: it saves those to write, and says what each computes on `ids`. */
export async function askPeft(
  python: string,
  task: { ids: number[][]; write?: PeftMade[]; read?: PeftRead[]; mix?: PeftMixed[] },
): Promise<{ write: Nats; read: Nats; mix: Nats }> {
  return await runPython(python, "./peft_peer.py", task) as { write: Nats; read: Nats; mix: Nats };
}

/** The JSON that a script of this folder prints for `task`. */
export async function runPython(python: string, script: string, task: unknown): Promise<unknown> {
  const { success, stdout, stderr } = await new Deno.Command(python, {
    args: [fileURLToPath(new URL(script, import.meta.url)), JSON.stringify(task)],
    env: { HF_HUB_OFFLINE: "1" },
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}
