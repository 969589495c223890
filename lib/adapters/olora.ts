import { qrAll } from "../linalg/qr.ts";
import type { Method } from "./method.ts";

/**
 * OLoRA: W = Q R, B₀ the first r columns of Q, A₀ the first r rows of R; both are trained.
 *
 * Source: Büyükakyüz 2024, arXiv:2406.01775v2, and the author's code in PEFT (`olora_init`). Deviations: the base
 * stays W and the adapter computes W + s (B A − B₀ A₀), the same function and gradients as W_res = W − s B₀ A₀; only
 * the first r columns of W are factored, which gives the same Q_r and R_r; signs are such that diag(R) ≥ 0.
 */
export const olora: Method = {
  name: "olora",
  startsAtZero: false,
  async start(gpu, targets, { rank }) {
    const matrices = targets.map(({ module, w }) => ({ name: module, w }));
    return (await qrAll(gpu, matrices, { columns: rank })).map(({ q, r }) => ({ a: r, b: q }));
  },
};
