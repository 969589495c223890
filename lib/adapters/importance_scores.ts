import { linearModules } from "../io/weights.ts";
import type { Adapter } from "./adapter.ts";
import { settingsOf } from "./attach.ts";

/** Numbers of importance scores. */
export interface ImportanceScores {
  /** Those that the adapter's training keeps or makes. */
  readonly own: number;
  /** Those that AdaLoRA's keeps for the same layers and ranks, r (m + n + 1) for a weight `[m, n]`. */
  readonly adalora: number;
}

/**
 * By how many scores the training of `adapter` tells which ranks count, beside AdaLoRA; undefined where it scores nothing.
 *
 * Source: Zhang et al. 2023, arXiv:2303.10512, eq. (8), each number of a triplet having a score.
 */
export function importanceScores({ model, config, layers, course }: Adapter): ImportanceScores | undefined {
  if (!course?.scores) return undefined;
  const modules = linearModules(model.config);
  const adalora = layers.keys().reduce((sum, module) => {
    const { out, in: width } = modules.get(module)!;
    return sum + settingsOf(config, module).rank * (out + width + 1);
  }, 0);
  return { own: course.scores, adalora };
}
