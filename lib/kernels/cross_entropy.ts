import { type KernelSpec, linearGrid } from "../gpu/kernel.ts";
import source from "./cross_entropy.wgsl" with { type: "text" };

/**
 * Softmax cross-entropy of rows of logits, and its gradient written over them.
 *
 * With E = 33 `EPS`, what the poorest known driver's exp is off by near −87 (WGSL grants 3 + 2|x| units at x),
 * each term of the sum is off by E, the sum of v terms by `EPS · √v`, and its logarithm by 10 `EPS` absolute. So
 * nll is off by at most `EPS · √v + E + 10 · EPS + EPS · (|max| + |x[target]| + |nll|)`, a gradient entry by
 * `scale · ((EPS · √v + 2 E + 4 · EPS) · softmax + EPS · onehot)`, plus what the logits themselves are off by.
 */
export const crossEntropy: KernelSpec = spec("cross_entropy", 128);

/** The same for software adapters, where barriers between subgroups cost more than the row: one subgroup a row. */
export const crossEntropySoftware: KernelSpec = spec("cross_entropy_software", 8);

function spec(name: string, WG: number): KernelSpec {
  return {
    name,
    source,
    overrides: { WG },
    storage: ["read", "read_write", "read_write"],
    uniforms: [["first", "u32"], ["rows", "u32"], ["v", "u32"], ["gradient", "u32"], ["scale", "f32"]],
    workgroups: ({ rows }) => linearGrid(rows),
  };
}
