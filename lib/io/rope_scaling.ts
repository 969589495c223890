import type { JsonObject } from "./json_file.ts";

/**
 * Rotary frequencies stretched as in Llama 3.1: those of wavelengths above `context / low` are divided by `factor`,
 * those below `context / high` stay, and those between go over from one to the other.
 *
 * Source: Grattafiori et al. 2024, arXiv:2407.21783, §3.4.2, with the formula of transformers' rope_type "llama3".
 */
export interface RopeScaling {
  /** What slow frequencies are divided by. */
  readonly factor: number;
  /** Turns in `context` below which a frequency is slow. */
  readonly low: number;
  /** Turns in `context` above which a frequency is fast. */
  readonly high: number;
  /** Tokens of the texts that the model was first trained on. */
  readonly context: number;
}

/** Refuses a field of config.json: its name, what is expected, and what was found. */
export type ConfigFail = (field: string, expected: string, found?: unknown) => never;

/**
 * The scaling that a config.json asks for, in `rope_scaling` (transformers 4) or `rope_parameters` (5).
 *
 * @param context The model's context, where the first one is not given.
 * @param fail Called for a kind of scaling other than "llama3", or a value that makes no sense.
 */
export function ropeScaling(json: JsonObject, context: number, fail: ConfigFail): RopeScaling | undefined {
  const found = [json.rope_parameters, json.rope_scaling].filter((rope) => (rope ?? null) !== null);
  for (const rope of found as JsonObject[]) {
    const type = rope.rope_type ?? rope.type ?? "default";
    if (type === "default") continue;
    if (type !== "llama3") fail("rope_type", '"default" or "llama3"', type);
    const number = (field: string, fallback?: number) => {
      const value = rope[field] ?? fallback ?? null;
      return typeof value === "number" && value > 0 && value < Infinity
        ? value
        : fail(field, "a number > 0", value);
    };
    const scaling = {
      factor: number("factor"),
      low: number("low_freq_factor"),
      high: number("high_freq_factor"),
      context: number("original_max_position_embeddings", context),
    };
    if (!(scaling.high > scaling.low)) {
      fail("high_freq_factor", `a number above low_freq_factor ${scaling.low}`, scaling.high);
    }
    return scaling;
  }
}

/** `rope_scaling` of a config.json that asks for `scaling`. */
export function ropeScalingJson(scaling: RopeScaling): JsonObject {
  return {
    factor: scaling.factor,
    high_freq_factor: scaling.high,
    low_freq_factor: scaling.low,
    original_max_position_embeddings: scaling.context,
    rope_type: "llama3",
  };
}
