import type { Gpu } from "../gpu/gpu.ts";
import { FAMILIES } from "../io/families.ts";
import { embeddingPlan } from "../ops/embedding.ts";
import type { Changes, DecoderInput, DecoderWeights } from "./decoder.ts";

/**
 * Which rows of a learned position table `b` texts of `t` tokens read, on the device; nothing for families whose
 * positions turn q and k. Uploaded beside the ids, before a step's first dispatch.
 *
 * @param start Position of the first tokens.
 * @param changes What is trained; where the table is, its gradient wants the rows sorted.
 */
export function uploadPositions(
  gpu: Gpu,
  { config }: Pick<DecoderWeights, "config">,
  { b, t, start = 0 }: { b: number; t: number; start?: number },
  changes?: Changes,
): Pick<DecoderInput, "positions"> {
  const { names, positionOffset } = FAMILIES[config.family];
  if (!names.positions) return {};
  const rows = Uint32Array.from({ length: b * t }, (_, i) => positionOffset + start + i % t);
  const ids = gpu.upload(rows, [b * t]);
  const trained = changes?.weight(`${names.positions}.weight`)?.needsGradient;
  if (!trained) return { positions: { ids } };
  return { positions: { ids, plan: embeddingPlan(gpu, rows, config.context + positionOffset) } };
}
