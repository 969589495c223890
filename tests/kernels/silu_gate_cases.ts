import { siluGate, siluGateBackward } from "../../lib/ops/silu_gate.ts";
import { siluGate as twin, siluGateBackward as twinBackward } from "../../lib/reference/silu_gate.ts";
import { EPS, EXP_GRANT } from "../helpers/close.ts";
import type { KernelCase } from "../helpers/kernel_case.ts";
import { FLOOR, gateCases } from "./gates.ts";

const GRANT = 3 * EPS + EXP_GRANT;
const sigma = (x: number) => 1 / (1 + Math.exp(-x));

/** The gate and its gradient against their twins. */
export const cases: KernelCase[] = gateCases({
  kernel: "silu_gate",
  run: siluGate,
  runBackward: siluGateBackward,
  twin,
  twinBackward,
  gates: [-1e4, -200, -100, -80, -79, -20, -1, -1e-6, 0, 1e-6, 1, 20, 79, 80, 100, 1e4],
  relative: () => GRANT,
  // Two factors hold the exponential: σ, and 1 − σ inside the parenthesis.
  ofGradient: (x) => 2 * GRANT * sigma(x) * (1 + Math.abs(x) * sigma(-x)) + FLOOR,
});
