import { geluGate, geluGateBackward } from "../../lib/ops/gelu_gate.ts";
import { geluGate as twin, geluGateBackward as twinBackward } from "../../lib/reference/gelu_gate.ts";
import { EPS, EXP_GRANT } from "../helpers/close.ts";
import type { KernelCase } from "../helpers/kernel_case.ts";
import { FLOOR, gateCases } from "./gates.ts";

const GRANT = 3 * EPS + EXP_GRANT;
/** What z is in the kernel, and its slope. */
const arc = (x: number) => Math.sqrt(8 / Math.PI) * (x + 0.044715 * x ** 3);
const slope = (x: number) => Math.sqrt(8 / Math.PI) * (1 + 3 * 0.044715 * x * x);
const sigma = (x: number) => 1 / (1 + Math.exp(-x));
const size = (x: number) => Math.min(80, Math.abs(arc(x)));

/** The gate and its gradient against their twins. */
export const cases: KernelCase[] = gateCases({
  kernel: "gelu_gate",
  run: geluGate,
  runBackward: geluGateBackward,
  twin,
  twinBackward,
  gates: [-1e4, -200, -100, -20, -9.5, -9, -4, -1, -1e-6, 0, 1e-6, 1, 4, 9, 9.5, 20, 100, 1e4],
  // Rounding of z: beyond the grant, what it makes of σ.
  relative: (x) => GRANT + 5 * EPS * size(x) * sigma(-arc(x)),
  // Two factors hold the exponential: σ, and 1 − σ inside the parenthesis.
  ofGradient: (x) =>
    2 * (GRANT + 5 * EPS * (1 + size(x))) * sigma(arc(x)) * (1 + Math.abs(x) * slope(x) * sigma(-arc(x))) +
    FLOOR * (1 + slope(x)),
});
