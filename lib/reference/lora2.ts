import type { SingularFactors } from "./adalora.ts";
import { checkLengths } from "./check.ts";
import { matmul } from "./matmul.ts";

/**
 * LoRA²'s singular vectors, P = bb aa `[out, r]` and Q = B A `[r, in]`.
 *
 * Source: Zhang et al. 2024, arXiv:2408.06854; the forward pass of the authors' code.
 *
 * @param factors bb `[out, k]`, aa as its transpose `[r, k]`, B `[r, k]` and A as its transpose `[in, k]`.
 */
export function lora2Vectors(
  factors: Readonly<Record<"bb" | "aa" | "b" | "a", Float64Array>>,
  { out, in: width, r, k }: { out: number; in: number; r: number; k: number },
): Pick<SingularFactors, "p" | "q"> {
  const { bb, aa, b, a } = factors;
  checkLengths("lora2Vectors", { out, in: width, r, k }, {
    ...{ "bb [out, k]": bb, "aa [r, k]": aa, "b [r, k]": b, "a [in, k]": a },
  });
  return {
    p: matmul(bb, aa, { m: out, n: r, k }, "nt"),
    q: matmul(b, a, { m: r, n: width, k }, "nt"),
  };
}
