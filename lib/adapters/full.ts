import type { Method } from "./method.ts";

/**
 * Full fine-tuning: the weights themselves are trained (`attach` copies them), so there are no factors to start. Trained are
 * as many numbers as the model has, embeddings, norms and biases included and a tied head once, or as the weights `[m, n]` of
 * the `targets` have, m n each.
 *
 * Source: the baseline FT of Hu et al. 2021, arXiv:2106.09685v2, §5.1.
 */
export const full: Method = {
  name: "full",
  startsAtZero: true,
  takes: [],
  start: () => Promise.resolve([]),
};
