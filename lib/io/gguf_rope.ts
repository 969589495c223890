import type { JsonObject } from "./json_file.ts";

/** What Llama 3.1, 3.2 and 3.3 have in common; a GGUF file stores none of it, only what follows from it. */
const [LOW, HIGH, CONTEXT] = [1, 4, 8192];

/**
 * `rope_scaling` of a config.json from what a GGUF file stores of it: `rope_freqs.weight`, what each frequency is divided
 * by. They are held against those that follow from the largest one and from the settings that all models of Llama 3.1 to
 * 3.3 share, as transformers' rope_type "llama3" computes them.
 *
 * @param divisors One for each pair of a head.
 * @param base Base of the frequencies.
 * @param name The file's name, for errors.
 * @throws {RangeError} If they are others.
 */
export function llama3Scaling(divisors: Float32Array, base: number, name: string): JsonObject {
  const factor = Math.max(...divisors);
  for (const [i, divisor] of divisors.entries()) {
    const turns = CONTEXT * base ** (-i / divisors.length) / (2 * Math.PI);
    const smooth = Math.min(1, Math.max(0, (turns - LOW) / (HIGH - LOW)));
    const expected = 1 / ((1 - smooth) / factor + smooth);
    // The converter computes in f32, and the difference of `turns` and LOW cancels.
    if (!(Math.abs(divisor - expected) <= 1e-4 * expected)) {
      throw new RangeError(
        `Cannot use ${name}: found rope_freqs.weight[${i}] ${divisor}, expected ${expected} (Llama 3.1's angles stretched by ${factor})`,
      );
    }
  }
  return {
    rope_type: "llama3",
    factor,
    low_freq_factor: LOW,
    high_freq_factor: HIGH,
    original_max_position_embeddings: CONTEXT,
  };
}
