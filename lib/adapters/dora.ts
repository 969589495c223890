import { lora } from "./lora.ts";
import type { Method } from "./method.ts";

/**
 * DoRA: LoRA whose merged weight V = W + s B A only says which way its rows point; their lengths m are trained beside it,
 * y = (m / ‖V‖) ∘ (V x). A and B start as lora's, m as the norms of V's rows, which are W's. r (m + n) + m numbers are
 * trained for a weight `[m, n]`.
 *
 * Source: Liu et al. 2024, arXiv:2402.09353, eq. (5), ‖V‖ being a constant in the gradient (§4.3); PEFT's `use_dora`.
 * Deviation: a row of W that is zero has no direction and stays as it is until B moves it; in PEFT its output is NaN.
 */
export const dora: Method = { ...lora, name: "dora", takes: [], magnitude: true };
