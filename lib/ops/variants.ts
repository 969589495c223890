import type { Gpu } from "../gpu/gpu.ts";
import { defaultMatmulVariant, MATMUL_CLASSES } from "../kernels/matmul_variants.ts";
import { defaultAttentionVariant } from "./attention.ts";

/**
 * Enters the default into `gpu.variants` for every kernel family that was not tuned, so that the table says all that
 * is in use. Another variant sums in another order; the table is part of a run's identity and is fixed before it.
 *
 * @returns The table.
 */
export function settleVariants(gpu: Gpu): Record<string, string> {
  const settle = (family: string, variant: string) => {
    if (!gpu.variants.has(family)) gpu.variants.set(family, variant);
  };
  settle("attention", defaultAttentionVariant(gpu));
  for (const kind of MATMUL_CLASSES) settle(kind, defaultMatmulVariant(gpu, kind));
  return Object.fromEntries([...gpu.variants].sort());
}
